// Package api is what the management API takes and answers, and a client of it.
//
// The tags of its types are the limits that the server keeps and the texts of its
// description; a client needs neither. The package uses nothing of the server, so that
// other programs can use it.
package api

// Name is what /healthz calls who answers, where that is a management API.
const Name = "pollbridge management API"
