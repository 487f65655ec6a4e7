package run

import "github.com/faultline-go/faultline/engine/journal"

// listenToPeople takes what they say into the journal, as long as the run goes on.
func (r *run) listenToPeople() {
	if r.Notes == nil {
		return
	}
	r.start(func() {
		r.Notes(r.life, func(m journal.Mark) bool {
			recorded := make(chan bool, 1)
			r.send(func() {
				r.record(&m)
				recorded <- r.journal == nil
			})
			select {
			case ok := <-recorded:
				return ok
			case <-r.life.Done():
				return false // the last event is written, or about to be
			}
		})
	})
}
