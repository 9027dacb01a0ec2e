// Package simulator is a signing API that can only be polled, without people,
// phones or documents behind it: for tests of whatever talks to such an API. It
// answers the start and status calls as the real ones are documented to, in every
// dialect, decides by itself when and how a session ends, and has trouble on
// demand.
//
// The rule that keeps tests honest: what is not documented about the real API is
// a setting here (Config.OneShot, Config.FailedStatus, Config.ExtraFields), and
// everything random follows from Config.Seed.
//
// A Simulator is an http.Handler. In a test:
//
//	sim, err := simulator.New(simulator.DefaultConfig())
//	if err != nil {
//		t.Fatal(err)
//	}
//	server := httptest.NewServer(sim)
//	defer server.Close()
//	defer sim.Close() // before the server, which would wait for hung requests
//
//	session, _ := sim.Start(simulator.StartRequest{AccessToken: "test", Outcome: simulator.Waiting})
//	// … poll server.URL + "/en/smartid/sign/status/" + session.Token + ".json"
//	sim.Finish(session.Token, simulator.Refused)
//	sim.SetFault(simulator.Fault{Mode: simulator.Error502})
//	// … poll again
//	asked, _ := sim.Session(session.Token)
//	if asked.MaxInFlight > 1 {
//		t.Errorf("%d polls at once, want 1", asked.MaxInFlight)
//	}
//
// Programs in other languages do the same through the control calls under
// /_simulator/, which README.md lists with everything else.
//
// Memory is bounded: at most Config.MaxSessions sessions of up to 1.5 KiB each, the
// oldest making room for new ones; a session is forgotten Config.ForgetAfter
// after its end, or a day after its start if it never ends, and is dropped from
// memory ten minutes later. Files are made while they are sent and never kept.
package simulator
