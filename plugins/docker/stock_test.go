package main

import (
	"sync"
	"testing"

	"github.com/faultline-go/faultline/sdk"
)

// stock are containers for checks of one fault, one after the other: what was put back
// is as good as new, which the checks make sure of, and to make and to remove a
// container costs the engine more than most checks.
type stock struct {
	lab  *lab
	home func() option

	mu   sync.Mutex
	free []sdk.Candidate
}

// take returns a container that runs, for as long as the test.
func (s *stock) take(t testing.TB) sdk.Candidate {
	t.Helper()
	c, ok := s.used()
	if !ok {
		at := s.lab.in(t)
		id := at.make(s.lab.t, s.home())
		at.start(id)
		c = at.candidate(id)
	}
	t.Cleanup(func() { s.giveBack(t, c) })
	return c
}

func (s *stock) used() (c sdk.Candidate, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		return c, false
	}
	c, s.free = s.free[0], s.free[1:]
	return c, true
}

// giveBack keeps a container of a test that went well, if it still runs.
func (s *stock) giveBack(t testing.TB, c sdk.Candidate) {
	now, found, err := s.lab.engine.look(s.lab.t.Context(), c.ID)
	if t.Failed() || err != nil || !found || now.Status != "running" {
		s.lab.in(t).remove(c.ID)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, c)
}
