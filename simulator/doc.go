// Package simulator is a signing API that can only be polled, without people, phones
// or documents behind it: for tests of whatever talks to such an API. It answers the
// start and status calls as the real ones are documented to, in every dialect, decides
// by itself when and how a session ends, and has trouble on demand. What is not
// documented about the real API is a setting here.
//
// A Simulator is an http.Handler, for an httptest.Server or any other; see the example.
// Programs in other languages run it as a command, and do with control calls under
// /_simulator/ what the methods do. README.md lists everything.
package simulator
