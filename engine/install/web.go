package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/faultline-go/faultline/engine/install/address"
)

// web is a mirror on a web server: static files over HTTPS, and nothing else. There is
// no exception for plain HTTP, not even on this machine, where a folder does as well.
// Private certificate authorities are those of the system, or of $SSL_CERT_FILE.
type web struct {
	base   *url.URL      // ends in a slash, and names no user
	user   *url.Userinfo // for the base's host alone; nil: none
	agent  string
	client *http.Client
	stall  time.Duration // without a byte, after which a transfer is given up
	pause  time.Duration // before a file is asked for again
}

const (
	maxRedirects = 5
	dialTime     = 10 * time.Second
	answerTime   = 30 * time.Second
	stallTime    = 30 * time.Second
)

var errNotHTTPS = errors.New("it leads away from HTTPS")

func newWeb(base *url.URL, agent string) *web {
	t := http.DefaultTransport.(*http.Transport).Clone() // with the environment's proxy
	t.DialContext = (&net.Dialer{Timeout: dialTime}).DialContext
	t.TLSHandshakeTimeout = dialTime
	t.ResponseHeaderTimeout = answerTime
	t.MaxResponseHeaderBytes = 64 << 10
	t.DisableCompression = true // what is limited, and hashed, is what was sent
	return &web{
		base:  withoutUser(base).JoinPath("/"),
		user:  base.User,
		agent: agent,
		stall: stallTime,
		pause: fetchPause,
		client: &http.Client{Transport: t, CheckRedirect: func(next *http.Request, before []*http.Request) error {
			switch {
			case next.URL.Scheme != "https":
				return errNotHTTPS
			case len(before) > maxRedirects:
				return fmt.Errorf("it redirects more than %d times", maxRedirects)
			}
			return nil
		}},
	}
}

// withoutUser is a URL for people and files: a token may stand in it as the password, or as
// the name of the user.
func withoutUser(u *url.URL) *url.URL {
	bare := *u
	bare.User = nil
	return &bare
}

func (w *web) Versions(ctx context.Context, a address.Address) ([]string, error) {
	return getter(w.get).versions(ctx, a)
}

func (w *web) Release(ctx context.Context, a address.Address, version string) (*Release, error) {
	return getter(w.get).release(ctx, a, version)
}

func (w *web) Archive(ctx context.Context, a address.Address, archive Archive, to *os.File) error {
	u, err := url.Parse(archive.URL)
	if err != nil || archive.URL == "" {
		return fmt.Errorf("the mirror %s says that an archive is at %q, which is no URL", w.base.Redacted(), archive.URL)
	}
	return w.whole(ctx, w.base.JoinPath(a.String(), "/").ResolveReference(u), maxArchive, func(r io.Reader) error {
		if err := to.Truncate(0); err != nil {
			return err
		}
		_, err := io.Copy(io.NewOffsetWriter(to, 0), r)
		return err
	})
}

func (w *web) get(ctx context.Context, path string, limit int64) (text []byte, err error) {
	err = w.whole(ctx, w.base.JoinPath(path), limit, func(r io.Reader) (err error) {
		text, err = io.ReadAll(r)
		return err
	})
	return text, err
}

// open begins to fetch a file. The reader fails when there is more than the limit, and
// when nothing comes for a while.
func (w *web) open(ctx context.Context, u *url.URL, limit int64) (io.ReadCloser, error) {
	if u.Scheme != "https" {
		return nil, fmt.Errorf("fetch %s: %w", u.Redacted(), errNotHTTPS)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("fetch %s: %w", u.Redacted(), err)
	}
	request.Header.Set("User-Agent", cmp.Or(w.agent, "faultline"))
	if w.user != nil && u.Host == w.base.Host {
		password, _ := w.user.Password()
		request.SetBasicAuth(w.user.Username(), password)
	}
	answer, err := w.client.Do(request)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("fetch: %w", err) // which names the method and the URL
	}
	switch {
	case answer.StatusCode != http.StatusOK:
		err = &statusError{u.Redacted(), answer.StatusCode, retryAfter(answer.Header.Get("Retry-After"), time.Now())}
	case answer.ContentLength > limit:
		err = fmt.Errorf("fetch %s: it has %d bytes, and %d are the most that is read", u.Redacted(), answer.ContentLength, limit)
	}
	if err != nil {
		answer.Body.Close()
		cancel(nil)
		return nil, err
	}
	return newTransfer(ctx, cancel, answer.Body, limit, w.stall), nil
}

// stalled says for how long nothing has come.
type stalled time.Duration

func (s stalled) Error() string { return fmt.Sprintf("nothing has come for %s", time.Duration(s)) }
func (s stalled) Timeout() bool { return true }

// transfer is an answer's body while it arrives.
type transfer struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	body   io.ReadCloser
	r      io.Reader
	timer  *time.Timer
	stall  time.Duration
}

func newTransfer(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, limit int64, stall time.Duration) *transfer {
	t := &transfer{ctx: ctx, cancel: cancel, body: body, r: atMost(body, limit), stall: stall}
	t.timer = time.AfterFunc(stall, func() { cancel(stalled(stall)) })
	return t
}

func (t *transfer) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if n > 0 {
		t.timer.Reset(t.stall)
	}
	if err != nil && err != io.EOF && t.ctx.Err() != nil {
		err = context.Cause(t.ctx)
	}
	return n, err
}

func (t *transfer) Close() error {
	t.timer.Stop()
	t.cancel(nil)
	return t.body.Close()
}
