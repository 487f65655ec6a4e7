// Package quickstart starts and stops the shop that the quickstart game day
// breaks: a store, three web processes and a gateway, each a process of its own
// with real HTTP over loopback on free ports.
//
//	shop, err := quickstart.Start(ctx, "bin/shop", dir, true)
//	defer shop.Stop()
//	// run the scenario with shop.Variables()
package quickstart

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// MaxLife is the age at which every process of the shop ends by itself: the last
// resort for a web process that faultline started again and nobody could stop.
const MaxLife = 5 * time.Minute

// startPatience bounds how long one process may take until it serves. It takes
// milliseconds; a very busy machine takes longer.
const startPatience = 20 * time.Second

// Shop is a running shop. It lives until Stop, until the program that started it
// ends, or for MaxLife.
type Shop struct {
	binary    string // absolute
	dir       string // absolute; pid files, address files and logs
	gateway   string // host:port
	store     string
	webs      []string
	processes []*process // in the order of their start
}

// Start starts the shop and returns when it has answered a checkout. shopBinary
// is the program of the package's shop folder. dir is created if need be; no two
// shops may share one. With retry the gateway asks another web process when one
// fails. ctx bounds the start only. If Start fails, it has stopped what it
// started.
func Start(ctx context.Context, shopBinary, dir string, retry bool) (*Shop, error) {
	binary, err := filepath.Abs(shopBinary)
	if err != nil {
		return nil, fmt.Errorf("find the shop program: %w", err)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the shop's folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the shop's folder: %w", err)
	}
	s := &Shop{binary: binary, dir: dir}
	if err := s.start(ctx, retry); err != nil {
		return nil, errors.Join(fmt.Errorf("start the shop: %w", err), s.Stop())
	}
	return s, nil
}

func (s *Shop) start(ctx context.Context, retry bool) (err error) {
	if s.store, err = s.launch(ctx, "store", "store"); err != nil {
		return err
	}
	for _, name := range []string{"web1", "web2", "web3"} {
		address, err := s.launch(ctx, name, "web", "-name", name, "-store", "http://"+s.store)
		if err != nil {
			return err
		}
		s.webs = append(s.webs, address)
	}
	s.gateway, err = s.launch(ctx, "gateway", "gateway", "-backends", strings.Join(s.webs, ","), fmt.Sprintf("-retry=%t", retry))
	if err != nil {
		return err
	}
	// One checkout by each web process: the connections are open when the game
	// day begins.
	for range s.webs {
		if err := s.checkout(ctx); err != nil {
			return err
		}
	}
	return nil
}

// launch starts one process and returns the address that it serves.
func (s *Shop) launch(ctx context.Context, name string, args ...string) (string, error) {
	p, err := startProcess(s.binary, s.dir, name, args)
	if err != nil {
		return "", fmt.Errorf("start %s: %w", name, err)
	}
	s.processes = append(s.processes, p)
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	address, err := p.serving(ctx)
	if err != nil {
		return "", fmt.Errorf("wait for %s: %w", name, err)
	}
	return address, nil
}

// checkout tries until one succeeds: on a busy machine the first ones may take longer
// than the shop's own timeouts.
func (s *Shop) checkout(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		err := s.try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return err
		}
	}
}

func (s *Shop) try(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/checkout", nil)
	if err != nil {
		return fmt.Errorf("try a checkout: %w", err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("try a checkout: %w", err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("try a checkout: status %s", response.Status)
	}
	return nil
}

// URL is where customers find the shop.
func (s *Shop) URL() string { return "http://" + s.gateway }

// Dir is the absolute folder of the shop's pid files and logs.
func (s *Shop) Dir() string { return s.dir }

// Variables returns a value for each variable of the quickstart scenario.
func (s *Shop) Variables() map[string]string {
	return map[string]string{
		"gateway":     s.URL(),
		"store":       "http://" + s.store,
		"web1_listen": s.webs[0],
		"shop":        s.binary,
		"dir":         s.dir,
	}
}

// Stop ends every process of the shop, and waits for it: those that Start
// started, and those that were started again in their place and wrote the same
// pid file. It may be called more than once.
func (s *Shop) Stop() error {
	var failed []error
	for i := len(s.processes) - 1; i >= 0; i-- { // the gateway first: nobody asks a web process that is gone
		p := s.processes[i]
		p.stop()
		if err := stopSuccessor(s.binary, p.pidFile); err != nil {
			failed = append(failed, fmt.Errorf("stop %s: %w", p.name, err))
		}
	}
	s.processes = nil
	return errors.Join(failed...)
}
