package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
)

// FileName is the journal's file inside a run's folder.
const FileName = "journal.jsonl"

// ErrTorn says that a journal's last line is not whole: its writer died over it, or
// is at it just now. Nobody was told that its event is on record.
var ErrTorn = errors.New("the last line is torn")

// Log is a whole journal in memory.
type Log struct {
	Events []Event
	// Torn is nil, or an ErrTorn with the place: the events are all there is, but the
	// writer was stopped while it wrote one more.
	Torn error
}

// Read reads a journal event by event: a file, or a run's folder. The last pair may
// have an error: it Is ErrTorn after everything else was read well; with any other
// error (ErrTooNew, ErrDamaged, an event type that this version does not know, a
// file that cannot be read) the journal must not be judged. Every error names the
// file and, where there is one, the line. One line is held in memory at a time.
func Read(path string) iter.Seq2[Event, error] { return read(path, false) }

// ReadFacts reads a journal like Read, but leaves out the samples, which are nearly all
// of a long one: their lines are checked and not decoded.
func ReadFacts(path string) iter.Seq2[Event, error] { return read(path, true) }

func read(path string, facts bool) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f, err := openJournal(path)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer f.Close()
		s := newScanner(f.Name(), f)
		s.facts = facts
		s.all(yield)
	}
}

// ReadAll reads a whole journal. With an error the log has the events before it.
func ReadAll(path string) (*Log, error) {
	return collect(Read(path))
}

func collect(events iter.Seq2[Event, error]) (*Log, error) {
	log := &Log{}
	for e, err := range events {
		if errors.Is(err, ErrTorn) {
			log.Torn = err
			break
		}
		if err != nil {
			return log, err
		}
		log.Events = append(log.Events, e)
	}
	return log, nil
}

func openJournal(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		path = filepath.Join(path, FileName)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return f, nil
}

// scanner reads lines and checks that each follows the one before.
type scanner struct {
	name string
	in   *bufio.Reader
	line int    // of the last line read
	end  int64  // offset behind the last good line
	sum  string // of the last good line
	last Event  // the last good event
	buf  []byte

	facts bool // leave out samples
}

func newScanner(name string, r io.Reader) *scanner {
	return &scanner{name: name, in: bufio.NewReaderSize(r, 64<<10)}
}

func (s *scanner) all(yield func(Event, error) bool) {
	for {
		e, err := s.next()
		if errors.Is(err, io.EOF) {
			return
		}
		if _, sample := e.Data.(*Samples); s.facts && err == nil && (sample || e.Data == nil) {
			continue
		}
		if !yield(e, err) || err != nil {
			return
		}
	}
}

// next returns the next event; io.EOF behind the last.
func (s *scanner) next() (Event, error) {
	s.line++
	raw, whole, err := s.readLine()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return Event{}, err
		}
		return Event{}, fmt.Errorf("%s:%d: %w", s.name, s.line, err)
	}
	if !whole {
		return Event{}, fmt.Errorf("%s:%d: %w (%d bytes)", s.name, s.line, ErrTorn, len(raw))
	}
	if s.facts {
		if e, sum, ok := checkSamples(raw, s.sum, s.last); ok {
			s.follow(e, sum, len(raw))
			return e, nil
		}
	}
	e, sum, err := decodeLine(raw, s.sum, s.last)
	if errors.Is(err, errNoJSON) {
		// A line that a power cut left half written may still end in a newline; with
		// more behind it, it is damage.
		if _, peek := s.in.Peek(1); errors.Is(peek, io.EOF) {
			return Event{}, fmt.Errorf("%s:%d: %w (%d bytes)", s.name, s.line, ErrTorn, len(raw))
		}
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return Event{}, fmt.Errorf("%s:%d: %w", s.name, s.line, err)
	}
	s.follow(e, sum, len(raw))
	return e, nil
}

// follow goes on behind a good line of so many bytes.
func (s *scanner) follow(e Event, sum string, length int) {
	s.sum, s.last = sum, e
	s.end += int64(length) + 1
}

// readLine returns a line without its newline; whole says that it had one.
func (s *scanner) readLine() (line []byte, whole bool, err error) {
	s.buf = s.buf[:0]
	for {
		part, err := s.in.ReadSlice('\n')
		s.buf = append(s.buf, part...)
		switch {
		case err == nil:
			return s.buf[:len(s.buf)-1], true, nil
		case errors.Is(err, bufio.ErrBufferFull):
			if len(s.buf) > longestLine {
				return nil, false, fmt.Errorf("%w: a line is longer than %d bytes", ErrDamaged, longestLine)
			}
		case errors.Is(err, io.EOF) && len(s.buf) > 0:
			return s.buf, false, nil
		default:
			return nil, false, err
		}
	}
}
