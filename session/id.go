package session

// IDs derives ids that say nothing about the parts to anybody else.
type IDs interface {
	ID(prefix string, parts ...string) string
}

// ID is the id of v's session, that is of its endpoint, token and credential.
func ID(ids IDs, v *Variant) string { return ids.ID("ses_", v.Endpoint.Name, v.Token, v.Credential) }
