package check

import (
	"cmp"
	"encoding/json"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
)

// host runs services of a Compose project as processes on loopback: their commands, environment,
// files and ports are those of the project. Only addresses, which are containers' there, and paths
// of what is mounted are translated.
type host struct {
	t       *testing.T
	project *types.Project
	dir     string
	ports   map[string]string // loopback port by SERVICE:PORT
	running map[string]*testkit.Process
}

func newHost(t *testing.T, project *types.Project) *host {
	return &host{t: t, project: project, dir: t.TempDir(), ports: map[string]string{}, running: map[string]*testkit.Process{}}
}

// address is where a service's port is.
func (h *host) address(service, port string) string {
	h.t.Helper()
	key := service + ":" + port
	if h.ports[key] == "" {
		h.ports[key] = testkit.Ports(h.t, 1)[0]
	}
	return net.JoinHostPort("127.0.0.1", h.ports[key])
}

var (
	everyAddress = regexp.MustCompile(`\b0\.0\.0\.0:(\d+)|^:(\d+)$`)
	otherPort    = regexp.MustCompile(` port (\d+)`) // after the address, where HAProxy asks whether a server is well
)

// translate has a text of a service name loopback addresses and the host's paths.
func (h *host) translate(service, text string) string {
	mounts := h.mounts(service)
	// The longest first: one may be within another.
	for _, target := range slices.SortedFunc(maps.Keys(mounts), func(a, b string) int { return cmp.Compare(len(b), len(a)) }) {
		text = regexp.MustCompile(`(^|[\s"'=:,\[])`+regexp.QuoteMeta(target)+`\b`).ReplaceAllString(text, "${1}"+mounts[target])
	}
	text = everyAddress.ReplaceAllStringFunc(text, func(s string) string { return h.address(service, s[strings.LastIndexByte(s, ':')+1:]) })
	services := strings.Join(h.project.ServiceNames(), "|")
	text = regexp.MustCompile(`\b(`+services+`):(\d+)( port \d+)?`).ReplaceAllStringFunc(text, func(s string) string {
		name, port, _ := strings.Cut(s, ":")
		if more := otherPort.FindStringSubmatch(port); more != nil {
			port, _, _ = strings.Cut(port, " ")
			_, checked, _ := net.SplitHostPort(h.address(name, more[1]))
			return h.address(name, port) + " port " + checked
		}
		return h.address(name, port)
	})
	for _, pool := range h.project.Networks["default"].Ipam.Config {
		text = strings.ReplaceAll(text, pool.Subnet, "127.0.0.0/8")
	}
	return text
}

// mounts is where on the host each path is that a service has from outside its image.
func (h *host) mounts(name string) map[string]string {
	service := h.project.Services[name]
	var targets []string
	for _, v := range service.Volumes {
		targets = append(targets, v.Target)
	}
	for _, s := range service.Secrets {
		targets = append(targets, s.Target)
	}
	targets = append(targets, service.Tmpfs...)
	mounts := map[string]string{}
	for _, target := range targets {
		mounts[target] = filepath.Join(h.dir, name, target)
	}
	return mounts
}

// mount puts what a service has from outside its image where it is found.
func (h *host) mount(name string) {
	h.t.Helper()
	service, mounts := h.project.Services[name], h.mounts(name)
	for _, v := range service.Volumes {
		if v.Type == types.VolumeTypeBind {
			h.copy(name, v.Source, mounts[v.Target])
		} else {
			testkit.NoError(h.t, os.MkdirAll(mounts[v.Target], 0o700))
		}
	}
	for _, target := range service.Tmpfs {
		testkit.NoError(h.t, os.MkdirAll(mounts[target], 0o700))
	}
	for _, s := range service.Secrets {
		source := h.project.Secrets[s.Source]
		secret := []byte(h.project.Environment[source.Environment])
		if source.File != "" {
			var err error
			secret, err = os.ReadFile(source.File)
			testkit.NoError(h.t, err)
		}
		h.write(mounts[s.Target], secret)
	}
}

func (h *host) copy(service, from, to string) {
	h.t.Helper()
	testkit.NoError(h.t, filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		within, err := filepath.Rel(from, path)
		h.write(filepath.Join(to, within), []byte(h.translate(service, string(text))))
		return err
	}))
}

func (h *host) write(path string, content []byte) {
	h.t.Helper()
	testkit.NoError(h.t, os.MkdirAll(filepath.Dir(path), 0o700))
	testkit.NoError(h.t, os.WriteFile(path, content, 0o600))
}

// command is what a service runs, or another program in its place.
func (h *host) command(name string, args ...string) *exec.Cmd {
	h.t.Helper()
	service := h.project.Services[name]
	of := image{entrypoint: entrypoints[name]}
	if service.Build != nil {
		of = ownImage(h.t)
	}
	switch {
	case args != nil:
	case service.Command != nil:
		args = slices.Concat(of.entrypoint, service.Command)
	default:
		args = slices.Concat(of.entrypoint, of.command)
	}
	environment := of.environment
	if environment == nil {
		environment = map[string]string{}
	}
	for key, value := range service.Environment {
		environment[key] = *value
	}
	for i, arg := range args {
		args[i] = h.translate(name, arg)
	}
	cmd := exec.Command(installed(h.t, args[0]), args[1:]...)
	cmd.Dir = h.dir
	for key, value := range environment {
		cmd.Env = append(cmd.Env, key+"="+h.translate(name, value))
	}
	return cmd
}

// entrypoints are those of images whose services do not name the program.
var entrypoints = map[string][]string{"prometheus": {"prometheus"}}

// image is what a Dockerfile says of the image's containers.
type image struct {
	environment                      map[string]string
	entrypoint, command, healthcheck []string
}

var ofImage = regexp.MustCompile(`(?m)^(?:ENTRYPOINT|HEALTHCHECK.* CMD|CMD) (\[.*\])$`)

func ownImage(t *testing.T) image {
	t.Helper()
	text := read(t, "Dockerfile")
	_, text, _ = strings.Cut(text, "\nFROM scratch\n")
	i := image{environment: map[string]string{"POLLBRIDGE_LISTEN": ":8080"}} // the setting's default, said so that it is translated
	for _, variable := range regexp.MustCompile(`\b(POLLBRIDGE_\w+)=(\S+)`).FindAllStringSubmatch(text, -1) {
		i.environment[variable[1]] = variable[2]
	}
	for _, line := range ofImage.FindAllStringSubmatch(text, -1) {
		var args []string
		testkit.NoError(t, json.Unmarshal([]byte(line[1]), &args))
		switch word, _, _ := strings.Cut(line[0], " "); word {
		case "ENTRYPOINT":
			i.entrypoint = args
		case "CMD":
			i.command = args
		default:
			i.healthcheck = args
		}
	}
	return i
}

// installed is where a program of an image is here.
func installed(t *testing.T, name string) string {
	t.Helper()
	var path string
	var err error
	switch name {
	case "/pollbridge":
		path, err = program()
	case "nats-server":
		path, err = natscluster.Binary()
	default:
		path, err = exec.LookPath(name)
	}
	testkit.NoError(t, err)
	return path
}

// start starts services that do not run. They end with the test.
func (h *host) start(names ...string) {
	h.t.Helper()
	for _, name := range names {
		h.mount(name)
		p := testkit.StartProcess(h.t, h.command(name))
		h.running[name] = p
		h.t.Cleanup(func() {
			if h.t.Failed() {
				text := p.Log.String()
				h.t.Logf("%s has said:\n%s", name, text[max(0, len(text)-4000):])
			}
		})
	}
}
