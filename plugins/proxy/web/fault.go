package web

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is one thing that goes wrong with requests.
type Fault struct {
	Match   Match
	Effect  Effect
	Percent float64 // of the requests that match, 0 to 100
	First   int     // only so many of them; 0: no limit
	Seed    uint64  // same seed, same requests hit, in the order in which they come
}

// Effect is what a Fault does: one of the types below.
type Effect interface{ effect() }

type (
	// Delay holds a request back for Delay ± Jitter before the server gets it.
	Delay struct{ Delay, Jitter time.Duration }
	// Abort answers in the server's place, which does not get the request: gRPC calls
	// with GRPC, if it is not below zero, others with Status. With neither, the
	// connection (of HTTP/2: the stream) breaks off.
	Abort struct {
		Status  int // 0: none
		GRPC    int // below 0: none
		Message string
	}
	// Body spoils the body of the answer: it replaces it, cuts it off after some bytes,
	// or flips bits in a share of its bytes.
	Body struct {
		Replace     *string
		ContentType string // of the replacement; empty: as it was
		Truncate    *int64
		Corrupt     float64 // percent
	}
)

func (Delay) effect() {}
func (Abort) effect() {}
func (Body) effect()  {}

// Match says which requests are meant; what is empty fits all. In Path, Host and the
// values of Header, * stands for any text.
type Match struct {
	Method string
	Path   string
	Host   string // without its port, unless it is given
	Header map[string]string
}

func (m Match) fits(r *http.Request) bool {
	if m.Method != "" && !strings.EqualFold(m.Method, r.Method) {
		return false
	}
	if m.Path != "" && !glob(m.Path, r.URL.Path) {
		return false
	}
	if m.Host != "" && !glob(strings.ToLower(m.Host), strings.ToLower(r.Host)) && !glob(strings.ToLower(m.Host), strings.ToLower(hostOnly(r.Host))) {
		return false
	}
	for name, want := range m.Header {
		if !slices.ContainsFunc(r.Header.Values(name), func(v string) bool { return glob(want, v) }) {
			return false
		}
	}
	return true
}

func hostOnly(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		return host[:i]
	}
	return host
}

// glob matches text with a pattern in which * stands for any text.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, last)
}

// isGRPC says whether a request is a gRPC call.
func isGRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// answer answers a request in the server's place.
func (a Abort) answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case isGRPC(r) && a.GRPC >= 0:
		// Headers that end the stream are an answer of trailers only.
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", strconv.Itoa(a.GRPC))
		w.Header().Set("Grpc-Message", percentEncoded(a.Message))
		w.WriteHeader(http.StatusOK)
	case a.Status != 0:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(a.Status)
		if a.Message != "" && a.Status != http.StatusNoContent && a.Status != http.StatusNotModified {
			_, _ = w.Write([]byte(a.Message + "\n")) // the client may be gone
		}
	default:
		panic(http.ErrAbortHandler)
	}
}

// percentEncoded is how a gRPC message travels in a header.
func percentEncoded(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + strings.ToUpper(strconv.FormatUint(uint64(c)|0x100, 16)[1:]))
		}
	}
	return b.String()
}

// Seen is what a fault has done so far.
type Seen struct {
	Requests int64         // that matched
	Hit      int64         // of these
	Acted    int64         // times that it really did something
	Typical  time.Duration // median of the latest delays; 0: none
}

// active is a fault in a layer.
type active struct {
	Fault
	id    string
	ended chan struct{}

	mu    sync.Mutex
	seen  Seen
	times []time.Duration // the latest
}

const latest = 512

// strikes decides whether the next request that matches is hit.
func (a *active) strikes() *struck {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.seen.Requests
	a.seen.Requests++
	if a.First > 0 && n >= int64(a.First) {
		return nil
	}
	rng := rand.New(rand.NewPCG(a.Seed, uint64(n)))
	if rng.Float64()*100 >= a.Percent {
		return nil
	}
	a.seen.Hit++
	return &struck{active: a, rng: rng}
}

// did notes that the fault acted, and how long it held a request back.
func (a *active) did(held time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if held > 0 {
		if len(a.times) < latest {
			a.times = append(a.times, held)
		} else {
			a.times[a.seen.Acted%latest] = held
		}
	}
	a.seen.Acted++
}

func (a *active) report() Seen {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := a.seen
	if times := slices.Sorted(slices.Values(a.times)); len(times) > 0 {
		seen.Typical = times[len(times)/2]
	}
	return seen
}
