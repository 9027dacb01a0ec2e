package simulator

// The documented error codes that calls are answered with; those of outcomes are in
// outcomeCodes.
const (
	codeParameters = 40001
	codeCredential = 40003
	codePhone      = 40004
	codePersonCode = 40005
	codeNoSession  = 40402
	codeTrouble    = 50000
	codeTechnical  = 50001
)

// Messages are in Lithuanian, and in English under /en and in the other dialects. Codes
// do not depend on it.
var messages = map[int][2]string{
	codeParameters: {"Neteisingi užklausos parametrai", "Some request parameters are invalid"},
	codeCredential: {"Neteisingas prieigos raktas", "Invalid access token"},
	codePhone:      {"Neteisingas telefono numerio formatas", "Phone number has an incorrect format"},
	codePersonCode: {"Neteisingas asmens kodo formatas", "Person code has an incorrect format"},
	40020:          {"Naudotojas atsisakė", "User refused"},
	40021:          {"Sesijos laikas baigėsi: naudotojas laiku nepatvirtino", "Session has expired: the user did not confirm in time"},
	40022:          {"Dokumentas sugadintas", "Document is corrupted"},
	40401:          {"Naudotojo paskyra nerasta", "User account was not found"},
	codeNoSession:  {"Sesija pagal pateiktą raktą nerasta", "Session for given token was not found"},
	40403:          {"Naudotojo paskyra nekvalifikuota", "User account is not qualified"},
	40801:          {"Baigėsi sertifikato gavimo laikas", "Timeout while acquiring the certificate"},
	codeTrouble:    {"Paslaugos sutrikimas", "Trouble in the service"},
	codeTechnical:  {"Techninė klaida", "Technical error"},
	50002:          {"Nepavyko prisijungti prie paslaugos", "Cannot connect to the service"},
	50003:          {"Nesuteikta teisė naudotis paslauga", "Not authorised to use the service"},
	50004:          {"Neteisinga kliento konfigūracija", "Client configuration is incorrect"},
}

func message(code int, english bool) string {
	if english {
		return messages[code][1]
	}
	return messages[code][0]
}
