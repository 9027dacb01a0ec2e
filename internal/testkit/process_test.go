package testkit_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// asProcess has this test be the process of another one.
const asProcess = "TESTKIT_PROCESS"

func TestMain(m *testing.M) {
	if said := os.Getenv(asProcess); said != "" {
		os.Stdout.WriteString(said)
		if said == "ends" {
			os.Exit(7)
		}
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

// TestProcess: a process can be started again after it was ended, and after it has ended by itself.
func TestProcess(t *testing.T) {
	says := "runs"
	p := testkit.NewProcess(t, func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asProcess+"="+says)
		return cmd
	})
	p.Kill() // nothing
	for n := range 2 {
		p.Start()
		testkit.Eventually(t, "it runs", func() bool { return strings.Count(p.Log.String(), "runs") == n+1 })
		if p.PID() == 0 || !p.Running() {
			t.Errorf("it has the id %d and runs: %v", p.PID(), p.Running())
		}
		p.Kill()
		if code := p.ExitCode(); code != -1 || p.PID() != 0 || p.Running() {
			t.Errorf("when it was killed, its exit code is %d, its id %d, and it runs: %v", code, p.PID(), p.Running())
		}
	}
	says = "ends"
	p.Start()
	testkit.Receive(t, "it ends by itself", p.Ended())
	if code := p.ExitCode(); code != 7 || !strings.HasSuffix(p.Log.String(), "ends") {
		t.Errorf("its exit code is %d after it said %q", code, &p.Log)
	}
	p.Terminate() // nothing is left to be ended
	if p.Running() {
		t.Error("it still counts as running")
	}
}
