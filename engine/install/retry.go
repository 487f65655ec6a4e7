package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// How often a file is asked for, how long it is waited for the second time (for later ones
// longer), and the longest that a server may ask us to wait.
const (
	fetchTries  = 4
	fetchPause  = 500 * time.Millisecond
	longestWait = time.Minute
)

// whole fetches a file, and does so again when what went wrong may be over in a moment. take
// gets the file from its beginning each time.
func (w *web) whole(ctx context.Context, u *url.URL, limit int64, take func(io.Reader) error) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.Multiplier = w.pause, 2
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, forRetry(w.once(ctx, u, limit, take))
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(fetchTries), backoff.WithMaxElapsedTime(0))
	return err
}

func (w *web) once(ctx context.Context, u *url.URL, limit int64, take func(io.Reader) error) error {
	r, err := w.open(ctx, u, limit)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := take(r); err != nil {
		return fmt.Errorf("fetch %s: %w", u.Redacted(), err)
	}
	return nil
}

// forRetry tells backoff whether an error is final, and how long to wait if the server has
// said so.
func forRetry(err error) error {
	if err == nil {
		return nil
	}
	var status *statusError
	switch {
	case !passing(err):
		return backoff.Permanent(err)
	case errors.As(err, &status) && status.after > longestWait:
		return backoff.Permanent(fmt.Errorf("%w, and asks to be left alone for %s", err, status.after))
	case errors.As(err, &status) && status.after > 0:
		return fmt.Errorf("%w; %w", err, &backoff.RetryAfterError{Duration: status.after})
	}
	return err
}

// passing says whether what went wrong may be over in a moment: the connection, a server that
// is busy or being restarted, a file that was cut short. A wrong certificate, or a name that
// nobody has, will be the same.
func passing(err error) bool {
	var status *statusError
	var name *net.DNSError
	var connection *net.OpError
	var late interface{ Timeout() bool }
	switch {
	case errors.As(err, &status):
		return status.code == http.StatusTooManyRequests || status.code >= 500 && status.code != http.StatusNotImplemented
	case errors.As(err, &name):
		return name.Temporary()
	case errors.As(err, &connection):
		return !strings.HasSuffix(connection.Op, " error") // "remote error": the other side wants another TLS
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return true
	}
	return errors.As(err, &late) && late.Timeout()
}

// statusError says that a server has answered something else than the file.
type statusError struct {
	url   string
	code  int
	after time.Duration // it asks to wait for so long; 0: it does not
}

func (e *statusError) Error() string {
	return fmt.Sprintf("fetch %s: the server answers %d %s", e.url, e.code, http.StatusText(e.code))
}

func (e *statusError) Unwrap() error {
	if e.code == http.StatusNotFound || e.code == http.StatusGone {
		return fs.ErrNotExist
	}
	return nil
}

// retryAfter reads a Retry-After header: seconds, or a date.
func retryAfter(header string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now).Round(time.Second))
	}
	return 0
}
