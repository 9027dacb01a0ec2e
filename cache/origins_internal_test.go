package cache

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestOriginsAreForgotten when their time is over, whether or not anybody asks again:
// their keys hold credentials.
func TestOriginsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = time.Second
		o := newOrigins()
		key := originKey{credential: "sesame", origin: "https://a.example"}
		o.put(key, nil, originsAge)
		done, _, _ := o.poll(key, "variant", window)
		o.finish(key, done)
		o.sweep(time.Now(), window)
		if len(o.entries) != 1 || len(o.last) != 1 {
			t.Errorf("%d origins and %d polls are known; want one each", len(o.entries), len(o.last))
		}
		time.Sleep(originsAge)
		o.sweep(time.Now(), window)
		if len(o.entries)+len(o.last) > 0 {
			t.Errorf("%d origins and %d polls are still known", len(o.entries), len(o.last))
		}
	})
}
