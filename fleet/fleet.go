package fleet

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"pollbridge/internal/period"
	"pollbridge/store"
)

// timing is how long things take.
type timing struct {
	heartbeat time.Duration
	fenced    time.Duration // after a heartbeat that the store has, what is held is held
	dead      time.Duration // without a heartbeat a replica counts as dead
	forgotten time.Duration // after it nothing is known of a replica any more
	unwell    time.Duration // for so long a replica has to be that before others take what it has
	patience  time.Duration // with a holder that cannot be reached: it may be on its way to another server
	alone     time.Duration // without any holder whoever asks is on its own
}

// A holder that cannot say that it is there stops before others take its slots; it goes on
// through most elections of another leader of the store's (3 to 9 s), and so does who asks.
var usual = timing{heartbeat: 2 * time.Second, fenced: 8 * time.Second, dead: 10 * time.Second, forgotten: 30 * time.Second, unwell: 5 * time.Second, patience: time.Second, alone: 8 * time.Second}

// gap is longer than heartbeats are apart, and come back, while all is well.
func (t timing) gap() time.Duration { return 5 * t.heartbeat / 2 }

const callTime = 5 * time.Second // of one call of the store

// Slot is a slot that changes hands.
type Slot struct {
	Number int
	From   string    // the id of the replica that held it before; empty: none did
	After  time.Time // from when on its sessions may be polled: then that one has surely stopped
}

// Holder is what looks after sessions.
type Holder interface {
	// Begin is told of slots that are this replica's from now on. It must not block.
	Begin(slots []Slot)
	// End is told of slots that are no more. When it returns, nothing goes on about their
	// sessions.
	End(slots []int)
}

// Options is what a Fleet needs. All of it is needed where nothing else is said.
type Options struct {
	Store   *store.Store
	Log     *slog.Logger
	Replica Replica       // this one; all that changes is set here
	Watches func() int    // how many sessions this one watches; may be nil
	Window  time.Duration // in which the upstream is asked once about a session

	timing timing // zero: usual
}

// Fleet is this replica's part in a fleet. It is safe for concurrent use. Create it with Open.
type Fleet struct {
	id      string
	store   *store.Store
	bucket  *store.Bucket
	log     *slog.Logger
	window  time.Duration
	watches func() int
	timing  timing
	holder  Holder

	handlers map[string]Handler // what can be asked; not changed after Start
	hearers  map[string]Handler // what everybody is told, likewise
	hearing  *store.Answering

	listeners map[string]func(Announcement) // of what is announced, likewise

	ctx     context.Context // ends when Close begins
	stop    context.CancelFunc
	running sync.WaitGroup
	wake    chan struct{} // holds a token when slots should be looked at
	wants   chan want     // slots that somebody cannot wait for

	complaints rate.Sometimes // about replicas that cannot be looked up

	mu           sync.Mutex
	own          Replica           // guarded by mu, as all below
	begun        time.Time         // since when what was there at the start is known; zero: it is not
	peers        map[string]*peer  // by id
	absent       map[string]uint64 // those who hold slots, or did, and were looked up in vain, at which revision of one
	slots        [Slots]slot       // as the store has them
	held         map[int]*holding  // by this replica
	taken        [Slots]taking     // of slots whose holders are asked
	lost         map[int]*holding  // that others have taken, until that is dealt with
	tried        map[int]*holding  // what was to be held, while it is not known whether the store has it
	newest       time.Time         // heartbeat of all, by the store's clock
	ownHeard     time.Time         // when the last own heartbeat came back
	currentSince time.Time         // since when they come back without a break
	beats        map[int]time.Time // when heartbeats began that have not come back
	renewed      time.Time         // when the last one began that has
	downSince    time.Time         // since when the store cannot be reached; zero: it can
	announced    []store.Change    // of which nobody was told yet
}

// peer is a replica as the store has it.
type peer struct {
	Replica
	at     time.Time // of its last heartbeat, by the store's clock
	heard  time.Time // when that was heard; zero: it was there at the start
	unwell time.Time // since when it is Unwell
	hangs  bool      // it gave no sign of life when it was last asked in vain
}

// slot is a slot as the store has it.
type slot struct {
	owner    string
	keeper   string   // the last one
	earlier  []string // those before it, see slotRecord
	revision uint64
	since    time.Time // when that was heard
}

// Replica is the id of this one.
func (f *Fleet) Replica() string { return f.id }

// Open opens the fleet's part of a store; ctx bounds that. Nothing is held before Start. The
// caller must Close it. The error is a *KeyError where this replica must not write yet.
func Open(ctx context.Context, o Options) (*Fleet, error) {
	f := &Fleet{
		id: o.Replica.ID, store: o.Store, log: o.Log, window: o.Window, watches: o.Watches, timing: cmp.Or(o.timing, usual), own: o.Replica,
		handlers: map[string]Handler{}, hearers: map[string]Handler{}, listeners: map[string]func(Announcement){}, wake: make(chan struct{}, 1), wants: make(chan want, 64),
		peers: map[string]*peer{}, beats: map[int]time.Time{}, held: map[int]*holding{}, lost: map[int]*holding{}, tried: map[int]*holding{}, absent: map[string]uint64{},
		complaints: rate.Sometimes{Interval: time.Minute},
	}
	f.own.Format = store.Format
	f.hearers[stoppedKind] = f.stopped
	var err error
	if f.bucket, err = o.Store.Bucket(ctx, store.BucketConfig{Name: bucketName}); err != nil {
		return nil, err
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	if _, err := f.bucket.Watch(f.ctx, ">", f.changed); err != nil {
		f.stop()
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.keyLocked(); err != nil {
		f.stop()
		return nil, err
	}
	f.begun = time.Now()
	return f, nil
}

// Start begins to hold slots, for h. It may be called once, after all calls of Answer and Hear.
func (f *Fleet) Start(h Holder) error {
	f.holder = h
	if err := f.hear(); err != nil {
		return err
	}
	f.running.Go(f.beat)
	f.running.Go(f.noteConnection)
	f.running.Go(f.balanceUntilClosed)
	return nil
}

// HandOver hands over what is held, and says that this replica is about to go. It still hears
// others, who may want to know what is under way here. It waits no longer than ctx for the store,
// and is called before Close.
func (f *Fleet) HandOver(ctx context.Context) error {
	f.mu.Lock()
	f.own.Draining = true
	f.mu.Unlock()
	err := f.sayHere(ctx) // so that nobody waits for it, nor gives it anything
	f.stop()
	f.running.Wait()
	f.endLost()
	f.mu.Lock()
	var all []int
	for n := range f.held {
		all = append(all, n)
	}
	f.mu.Unlock()
	f.release(ctx, all)
	return err
}

// answering is how long a replica that is about to go still works on what it was asked.
const answering = 500 * time.Millisecond

// Close says that this replica is gone, once it has answered what it works on for others, which it is given
// a moment for. It waits no longer than ctx for that and for the store.
func (f *Fleet) Close(ctx context.Context) error {
	f.stop()
	f.running.Wait()
	if f.hearing == nil { // it was not started
		return nil
	}
	drain, cancel := context.WithTimeout(ctx, answering)
	defer cancel()
	f.hearing.Drain(drain)
	return f.bucket.Delete(ctx, replicaKey+f.id)
}

// SetUnwell says whether the upstream cannot be reached from here. While others can, this
// replica holds nothing.
func (f *Fleet) SetUnwell(unwell bool) {
	f.mu.Lock()
	changed := f.own.Unwell != unwell
	f.own.Unwell = unwell
	f.mu.Unlock()
	if changed {
		f.wakeUp()
	}
}

func (f *Fleet) wakeUp() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// beat says again and again that this replica is there, and sooner again where that fails.
func (f *Fleet) beat() {
	failed := false
	for {
		ctx, cancel := context.WithTimeout(f.ctx, f.timing.heartbeat)
		err := f.sayHere(ctx)
		cancel()
		pause := f.timing.heartbeat
		if err != nil {
			if pause /= 8; f.ctx.Err() == nil && !failed {
				f.log.Warn("this replica cannot tell the others that it is there", "error", err)
			}
		}
		failed = err != nil
		if period.Pause(f.ctx, pause) != nil {
			return
		}
	}
}

// noteConnection notes since when the store cannot be reached.
func (f *Fleet) noteConnection() {
	const look = 50 * time.Millisecond
	for {
		up := f.store.Up()
		select {
		case <-f.ctx.Done():
			return
		case <-up.Done():
		}
		f.mu.Lock()
		f.downSince = time.Now()
		f.mu.Unlock()
		for f.store.Up().Err() != nil {
			if period.Pause(f.ctx, look) != nil {
				return
			}
		}
		f.mu.Lock()
		f.downSince = time.Time{}
		f.mu.Unlock()
	}
}

func (f *Fleet) sayHere(ctx context.Context) error {
	watches := 0
	if f.watches != nil {
		watches = f.watches()
	}
	f.mu.Lock()
	f.own.Watches = watches
	f.own.Beat++
	f.beats[f.own.Beat] = time.Now()
	record := replicaRecord{recordVersion, f.own}
	f.mu.Unlock()
	_, err := f.bucket.Put(ctx, replicaKey+f.id, store.JSON(record), f.timing.forgotten)
	return err
}
