package simulator

// The documented error codes.
const (
	codeParameters         = 40001
	codeCredential         = 40003
	codePhone              = 40004
	codePersonCode         = 40005
	codeRefused            = 40020
	codeExpired            = 40021
	codeCorrupted          = 40022
	codeNoAccount          = 40401
	codeNoSession          = 40402
	codeNotQualified       = 40403
	codeCertificateTimeout = 40801
	codeTrouble            = 50000
	codeTechnical          = 50001
	codeUnreachable        = 50002
	codeNotAuthorised      = 50003
	codeMisconfigured      = 50004
)

// Messages are in Lithuanian, and in English under /en and in the other dialects. Codes
// do not depend on it.
var messages = map[int][2]string{
	codeParameters:         {"Neteisingi užklausos parametrai", "Some request parameters are invalid"},
	codeCredential:         {"Neteisingas prieigos raktas", "Invalid access token"},
	codePhone:              {"Neteisingas telefono numerio formatas", "Phone number has an incorrect format"},
	codePersonCode:         {"Neteisingas asmens kodo formatas", "Person code has an incorrect format"},
	codeRefused:            {"Naudotojas atsisakė", "User refused"},
	codeExpired:            {"Sesijos laikas baigėsi: naudotojas laiku nepatvirtino", "Session has expired: the user did not confirm in time"},
	codeCorrupted:          {"Dokumentas sugadintas", "Document is corrupted"},
	codeNoAccount:          {"Naudotojo paskyra nerasta", "User account was not found"},
	codeNoSession:          {"Sesija pagal pateiktą raktą nerasta", "Session for given token was not found"},
	codeNotQualified:       {"Naudotojo paskyra nekvalifikuota", "User account is not qualified"},
	codeCertificateTimeout: {"Baigėsi sertifikato gavimo laikas", "Timeout while acquiring the certificate"},
	codeTrouble:            {"Paslaugos sutrikimas", "Trouble in the service"},
	codeTechnical:          {"Techninė klaida", "Technical error"},
	codeUnreachable:        {"Nepavyko prisijungti prie paslaugos", "Cannot connect to the service"},
	codeNotAuthorised:      {"Nesuteikta teisė naudotis paslauga", "Not authorised to use the service"},
	codeMisconfigured:      {"Neteisinga kliento konfigūracija", "Client configuration is incorrect"},
}

func message(code int, english bool) string {
	if english {
		return messages[code][1]
	}
	return messages[code][0]
}
