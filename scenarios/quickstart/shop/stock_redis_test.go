package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/faultline-go/faultline/sdk/plugintest"
)

// startRedis runs a real Redis server on a free port for the length of the test.
func startRedis(t *testing.T) (address string, server *exec.Cmd) {
	t.Helper()
	var program string
	plugintest.Need(t, "redis", func() (err error) { program, err = exec.LookPath("redis-server"); return err })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	server = exec.Command(program, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	client := redis.NewClient(&redis.Options{Addr: address})
	t.Cleanup(func() { client.Close() })
	eventually(t, "redis", func() error { return client.Ping(context.Background()).Err() })
	return address, server
}

func TestRedisStock(t *testing.T) {
	address, server := startRedis(t)
	web := start(t, "web", "-name", "web1", "-store", "redis://"+address, "-store-timeout", "2s")
	url := fmt.Sprintf("http://%s/checkout", web.address)
	for n := range 3 {
		status, sold := get[sale](t, url)
		if status != http.StatusOK || sold.Order != int64(n+1) || sold.Left != int64(fullStock-n-1) {
			t.Errorf("checkout %d: status %d, %+v", n, status, sold)
		}
	}

	if err := server.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if status, _ := get[failure](t, url); status != http.StatusServiceUnavailable {
		t.Errorf("with a frozen store: status %d, want 503", status)
	}
	if err := server.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "checkout after the store goes on", func() error {
		if status, _ := get[map[string]any](t, url); status != http.StatusOK {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})
}
