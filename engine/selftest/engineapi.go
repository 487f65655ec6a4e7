package selftest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// dockerEngine speaks the few words of the Docker Engine API that the self-test
// needs. The client library would serve as well; but it would become a part of the
// faultline binary, and with it of every guardian that sleeps beside a run.
type dockerEngine struct {
	http *http.Client
	base string // of every request: scheme, host and API version
}

const defaultDockerHost = "unix:///var/run/docker.sock"

// engineTime bounds one request, on a busy machine.
const engineTime = time.Minute

// errNotFound is what the engine says of a thing that it does not have.
var errNotFound = errors.New("there is none")

// dialDocker finds the engine that the docker plugin would use, as long as that is
// one without TLS.
func dialDocker(ctx context.Context, getenv func(string) string) (*dockerEngine, error) {
	host := getenv("DOCKER_HOST")
	if host == "" {
		host = defaultDockerHost
	}
	scheme, rest, _ := strings.Cut(host, "://")
	e := &dockerEngine{}
	switch {
	case scheme == "unix":
		e.base = "http://docker"
		e.http = &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", rest)
			},
			MaxIdleConnsPerHost: 32,
		}}
	case scheme == "tcp" && getenv("DOCKER_TLS_VERIFY") == "":
		e.base = "http://" + rest
		e.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	default:
		return nil, fmt.Errorf("the self-test reaches a Docker engine by unix:// or by tcp:// without TLS, not %s", host)
	}
	var version struct{ ApiVersion string }
	if err := e.call(ctx, http.MethodGet, "/version", nil, nil, &version); err != nil {
		return nil, fmt.Errorf("no Docker engine answers at %s: %w", host, err)
	}
	e.base += "/v" + version.ApiVersion
	return e, nil
}

// call makes a request. body is sent as JSON, or as it is when it is bytes; the
// answer is read into out, if that is not nil.
func (e *dockerEngine) call(ctx context.Context, method, path string, query url.Values, body, out any) error {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	var reader io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case []byte:
		reader, kind = bytes.NewReader(b), "application/x-tar"
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(raw)
	}
	address := e.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	q, err := http.NewRequestWithContext(ctx, method, address, reader)
	if err != nil {
		return err
	}
	if reader != nil {
		q.Header.Set("Content-Type", kind)
	}
	answer, err := e.http.Do(q)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 400 {
		var said struct{ Message string }
		_ = json.Unmarshal(raw, &said) // what is no JSON says nothing
		err := fmt.Errorf("%s: %s", answer.Status, said.Message)
		if answer.StatusCode == http.StatusNotFound {
			err = fmt.Errorf("%w: %w", errNotFound, err)
		}
		return err
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// importImage makes an image of one layer.
func (e *dockerEngine) importImage(ctx context.Context, layer []byte, repository, tag string, changes []string) error {
	query := url.Values{"fromSrc": {"-"}, "repo": {repository}, "tag": {tag}, "changes": changes}
	if err := e.call(ctx, http.MethodPost, "/images/create", query, layer, nil); err != nil {
		return fmt.Errorf("import an image: %w", err)
	}
	// The answer is a report whose errors come with status 200: look whether it is there.
	if err := e.call(ctx, http.MethodGet, "/images/"+repository+":"+tag+"/json", nil, nil, nil); err != nil {
		return fmt.Errorf("import an image: %w", err)
	}
	return nil
}

// remove deletes a thing by its path; one that is gone is fine.
func (e *dockerEngine) remove(ctx context.Context, path string, query url.Values) error {
	err := e.call(ctx, http.MethodDelete, path, query, nil, nil)
	if errors.Is(err, errNotFound) {
		return nil
	}
	return err
}

func (e *dockerEngine) removeContainer(ctx context.Context, id string) error {
	return e.remove(ctx, "/containers/"+id, url.Values{"force": {"1"}, "v": {"1"}})
}

// inspected is what a look at a container says.
type inspected struct {
	State struct {
		Status  string
		Running bool
		Paused  bool
	}
	NetworkSettings struct{ Networks map[string]any }
}

func (e *dockerEngine) inspect(ctx context.Context, id string) (inspected, error) {
	var i inspected
	err := e.call(ctx, http.MethodGet, "/containers/"+id+"/json", nil, nil, &i)
	return i, err
}
