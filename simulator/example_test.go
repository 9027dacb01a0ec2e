package simulator_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"pollbridge/simulator"
)

// A test starts a session, decides how it ends, and looks at what was asked.
func Example() {
	sim, err := simulator.New(simulator.DefaultConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(sim)
	defer server.Close()
	defer sim.Close() // before the server, which waits for its requests

	session, err := sim.Start(simulator.StartRequest{AccessToken: "test", Outcome: simulator.Waiting})
	if err != nil {
		fmt.Println(err)
		return
	}
	poll := func() {
		response, err := http.Post(server.URL+"/en/smartid/sign/status/"+session.Token+".json",
			"application/json", strings.NewReader(`{"access_token":"test"}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		fmt.Println(response.StatusCode, string(body))
	}
	poll()
	sim.Finish(session.Token, simulator.Refused)
	poll()

	asked, _ := sim.Session(session.Token)
	fmt.Println(asked.Polls, "polls,", asked.MaxInFlight, "at once")
	// Output:
	// 200 {"status":"waiting"}
	// 200 {"status":"error","message":"User refused","error_code":40020}
	// 2 polls, 1 at once
}
