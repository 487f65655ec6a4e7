//go:build linux

package main

import (
	"errors"
	"sync"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/netns"
	"github.com/faultline-go/faultline/plugins/net/impair"
)

// visits are the namespaces in which we have been lately. What talks to the kernel there
// stays open for a moment: to close it right after a table was removed takes until the
// kernel has freed that, which is when no processor can be using it any more, and far
// longer than all the rest.
type visits struct {
	mu  sync.Mutex
	all map[netns.ID]*visit
}

// visit is the way into one namespace. While it is open, the namespace lives, and nobody
// else gets its ID.
type visit struct {
	mu   sync.Mutex   // one at a time
	site *impair.Site // nil: not open

	users int // of the visit, under the lock of visits
	idle  *time.Timer
}

// patience is for how long a namespace is held in which there is nothing to do.
const patience = time.Second

var lately = &visits{all: map[netns.ID]*visit{}}

// within works in a namespace, and lets go of it.
func within(n *netns.Namespace, work func(*impair.Site) error) error {
	defer n.Close()
	v := lately.enter(n.ID)
	defer lately.leave(n.ID, v)
	v.mu.Lock()
	defer v.mu.Unlock()
	return n.Do(func() (err error) {
		if v.site == nil {
			if v.site, err = impair.Open(false); err != nil {
				return err
			}
		}
		if err = work(v.site); err != nil { // who knows what has not been read
			err = errors.Join(err, v.close())
		}
		return err
	})
}

func (v *visit) close() error {
	if v.site == nil {
		return nil
	}
	err := v.site.Close()
	v.site = nil
	return err
}

func (all *visits) enter(id netns.ID) *visit {
	all.mu.Lock()
	defer all.mu.Unlock()
	v := all.all[id]
	if v == nil {
		v = &visit{}
		all.all[id] = v
	}
	v.users++
	if v.idle != nil {
		v.idle.Stop()
	}
	return v
}

func (all *visits) leave(id netns.ID, v *visit) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if v.users--; v.users == 0 {
		v.idle = time.AfterFunc(patience, func() { all.forget(id, v) })
	}
}

// forget closes a visit that nobody has begun anew.
func (all *visits) forget(id netns.ID, v *visit) {
	all.mu.Lock()
	over := v.users == 0 && all.all[id] == v
	if over {
		delete(all.all, id)
	}
	all.mu.Unlock()
	if over {
		v.mu.Lock()
		defer v.mu.Unlock()
		_ = v.close()
	}
}
