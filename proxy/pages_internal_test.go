package proxy

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/session"
)

// memoryFiles is how many answers are kept as files, however forgotten.
func memoryFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("not on this system")
	}
	n := 0
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.HasPrefix(target, "/memfd:answer") {
			n++
		}
	}
	return n
}

// noMemoryFiles waits until those of other tests are gone.
func noMemoryFiles(t testing.TB) {
	t.Helper()
	collect(t, "another test has left answers in files", func() bool { return memoryFiles(t) == 0 })
}

// collect lets the garbage collector run until what it is to bring about is there.
func collect(t testing.TB, otherwise string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
	}
}

func wantMemoryFiles(t testing.TB, want int) {
	t.Helper()
	if got := memoryFiles(t); got != want {
		t.Errorf("%d answers are kept as files; want %d", got, want)
	}
}

// letters are the same for a seed, and at no two places the same.
func letters(seed uint64, n int) []byte {
	b := make([]byte, n)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = 'a' + byte(random.Uint32N(26))
	}
	return b
}

func someContent(seed uint64, n int) *session.Content {
	return &session.Content{Status: 200, Body: letters(seed, n)}
}

// use gives content so often that it is in a file, and returns that.
func use(p *pages, content *session.Content) *paged {
	for range givenBefore {
		if one := p.of(content); one != nil {
			return one
		}
	}
	return p.of(content)
}

// drop makes the files go that a test has left.
func drop(p *pages) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.byAge.Len() > 0 {
		p.forgetLocked(p.byAge.Back())
	}
}

func wantFile(t testing.TB, one *paged, body []byte) {
	t.Helper()
	if one == nil {
		t.Error("there is no file")
		return
	}
	got := make([]byte, len(body)+1)
	if n, err := one.file.ReadAt(got, 0); err != io.EOF || !bytes.Equal(got[:n], body) {
		t.Errorf("the file of %d bytes has others, or %d: %v", len(body), n, err)
	}
}

func TestPagesFromTheThirdTimeOn(t *testing.T) {
	noMemoryFiles(t)
	p := newPages()
	defer drop(p)
	content := someContent(1, largeBody)
	for i := range 6 {
		one := p.of(content)
		if i < givenBefore {
			if one != nil {
				t.Fatalf("a file is made at use %d", i+1)
			}
			continue
		}
		wantFile(t, one, content.Body)
		one.release()
	}
	wantMemoryFiles(t, 1)
	runtime.KeepAlive(content)
	for _, n := range []int{0, largeBody - 1, maxPages + 1} {
		content := &session.Content{Body: make([]byte, n)}
		for range 5 {
			if p.of(content) != nil {
				t.Errorf("%d bytes are put into a file", n)
			}
		}
	}
}

// TestPagesAreBounded: what is forgotten takes no memory, and no file descriptor, until
// the garbage collector happens to look.
func TestPagesAreBounded(t *testing.T) {
	noMemoryFiles(t)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	p := newPages()
	const each = 4 << 20
	body := make([]byte, each)
	var contents []*session.Content
	for range 2 * maxPages / each {
		contents = append(contents, &session.Content{Body: body})
	}
	for range 3 {
		for _, content := range contents {
			use(p, content).release()
			if n := memoryFiles(t); n > maxPages/each {
				t.Fatalf("%d files of %d bytes; want at most %d bytes", n, each, maxPages)
			}
		}
	}
	wantMemoryFiles(t, maxPages/each)
	drop(p)
	wantMemoryFiles(t, 0)

	small := make([]byte, largeBody)
	for range 3 * maxPaged {
		contents = append(contents, &session.Content{Body: small})
		use(p, contents[len(contents)-1]).release()
	}
	wantMemoryFiles(t, maxPaged)
	if len(p.known) != maxPaged || p.byAge.Len() != maxPaged || p.size != maxPaged*largeBody {
		t.Errorf("%d known, %d by age, %d bytes; want %d of %d", len(p.known), p.byAge.Len(), p.size, maxPaged, largeBody)
	}
	drop(p)
	wantMemoryFiles(t, 0)
	if p.size != 0 {
		t.Errorf("%d bytes are left of nothing", p.size)
	}
	runtime.KeepAlive(contents)
}

// TestPagesOutliveTheirPlace while somebody is sent them.
func TestPagesOutliveTheirPlace(t *testing.T) {
	noMemoryFiles(t)
	p := newPages()
	content := someContent(1, 1<<20)
	first, second := use(p, content), p.of(content)
	drop(p)
	runtime.GC()
	wantFile(t, first, content.Body)
	first.release()
	wantFile(t, second, content.Body)
	wantMemoryFiles(t, 1)
	second.release()
	wantMemoryFiles(t, 0)
	if again := p.of(content); again != nil {
		t.Error("what was forgotten is counted on")
	}
	drop(p)
}

// TestPagesGoWithTheAnswer: an answer that was erased everywhere else is not here, and
// one that was never worth a file is not kept.
func TestPagesGoWithTheAnswer(t *testing.T) {
	noMemoryFiles(t)
	p := newPages()
	gone := make(chan struct{})
	func() {
		often, once := someContent(1, 1<<20), someContent(2, 1<<20)
		use(p, often).release()
		wantMemoryFiles(t, 1)
		p.of(once)
		runtime.AddCleanup(once, func(struct{}) { close(gone) }, struct{}{})
		runtime.KeepAlive(often)
	}()
	collect(t, "the file of an answer that nobody knows any more stays", func() bool { return memoryFiles(t) == 0 })
	collect(t, "an answer that was given once stays in memory", func() bool {
		select {
		case <-gone:
			return true
		default:
			return false
		}
	})
	if p.mu.Lock(); p.size != 0 {
		t.Errorf("%d bytes are left of nothing", p.size)
	}
	p.mu.Unlock()
}

// TestPagesAtTheSameTime: nobody gets another's, whatever is forgotten meanwhile.
func TestPagesAtTheSameTime(t *testing.T) {
	noMemoryFiles(t)
	p := newPages()
	var contents []*session.Content
	for i := range 24 {
		contents = append(contents, someContent(uint64(i), largeBody+i))
	}
	var users sync.WaitGroup
	for i := range 8 {
		users.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for range 300 {
				content := contents[random.IntN(len(contents))]
				one := p.of(content)
				if random.IntN(10) == 0 {
					drop(p)
				}
				if one != nil {
					wantFile(t, one, content.Body)
					one.release()
				}
			}
		})
	}
	users.Wait()
	drop(p)
	wantMemoryFiles(t, 0)
	if p.size != 0 {
		t.Errorf("%d bytes are left of nothing", p.size)
	}
	runtime.KeepAlive(contents)
}

// socketPair returns both ends of a TCP connection, here as the server has it.
func socketPair(t *testing.T) (here *patientConn, there net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	there, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	clock := &clock{}
	clock.set(time.Now())
	conn, err := patientListener{listener, clock, new(atomic.Bool), new(atomic.Uint64), &departures{}}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); there.Close() })
	there.SetDeadline(time.Now().Add(20 * time.Second))
	return conn.(*patientConn), there
}

// TestWriteLarge writes as the HTTP engine does: a head with some of the body, and what
// is left of it.
func TestWriteLarge(t *testing.T) {
	page := os.Getpagesize()
	for _, c := range []struct {
		name      string
		size, cut int
		broken    bool // the file is
		other     bool // not what was announced
	}{
		{"pages", 1 << 20, 3800, false, false},
		{"from the first byte", 1 << 20, 0, false, false},
		{"from a whole page", 1 << 20, page, false, false},
		{"less than a page", largeBody, largeBody - largeBody/2, false, false},
		{"a byte more than pages", largeBody + 1, 3800, false, false},
		{"a byte less than pages", 2*largeBody - 1, 1, false, false},
		{"a file that cannot be sent", 1 << 20, 3800, true, false},
		{"another body", 1 << 20, 3800, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPages()
			defer drop(p)
			content := someContent(1, c.size)
			one := use(p, content)
			if one == nil {
				t.Skip("not on this system")
			}
			if c.broken {
				one.file.Close()
			}
			body := content.Body
			if c.other {
				body = letters(2, c.size)
			}
			here, there := socketPair(t)
			head := append([]byte("HTTP/1.1 200 OK\r\n\r\n"), body[:c.cut]...)
			want := append(bytes.Clone(head), body[c.cut:]...)
			read := make(chan []byte, 1)
			go func() {
				got := make([]byte, len(want))
				n, _ := io.ReadFull(there, got)
				read <- got[:n]
			}()
			here.writeNext(content.Body, one)
			for _, part := range [][]byte{head, body[c.cut:]} {
				if n, err := here.Write(part); n != len(part) || err != nil {
					t.Fatalf("Write of %d bytes = %d, %v", len(part), n, err)
				}
			}
			if got := <-read; !bytes.Equal(got, want) {
				t.Errorf("%d bytes arrived that are not the %d that were sent", len(got), len(want))
			}
			if here.large != nil || here.pages != nil || one.users != 0 {
				t.Errorf("after the answer it has %d users; want none", one.users)
			}
		})
	}
}

// TestLargeIsReleased when its connection ends before it was written, or midway.
func TestLargeIsReleased(t *testing.T) {
	p := newPages()
	defer drop(p)
	content := someContent(1, 8<<20)
	for _, write := range []bool{false, true} {
		one := use(p, content)
		if one == nil {
			t.Skip("not on this system")
		}
		here, there := socketPair(t)
		here.closing = nil
		here.writeNext(content.Body, one)
		if write {
			there.(*net.TCPConn).SetLinger(0)
			there.Close()
			if _, err := here.Write(content.Body); err == nil {
				t.Error("8 MiB were written to nobody")
			}
		}
		for range 2 {
			here.Close()
		}
		if one.users != 0 {
			t.Errorf("written %t: %d users are left; want none", write, one.users)
		}
	}
	runtime.KeepAlive(content)
}
