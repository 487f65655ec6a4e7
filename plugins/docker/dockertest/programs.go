package dockertest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/faultline-go/faultline/sdk/plugintest"
)

// shopPackage is the program that the game days break.
const shopPackage = "github.com/faultline-go/faultline/scenarios/quickstart/shop"

// redisServer is where Debian's package redis-server puts the program.
const redisServer = "/usr/bin/redis-server"

// ShopImage returns an image of the shop, built from this source tree. Its entry
// point is the shop program: the arguments are gateway, web or store and flags.
func ShopImage(t testing.TB) string {
	t.Helper()
	Client(t) // no engine, no build
	program, err := buildShop()
	if err != nil {
		t.Fatalf("build the shop: %v", err)
	}
	defer os.RemoveAll(filepath.Dir(program))
	return recipe{
		repository: "faultline-test-shop",
		files:      map[string]string{"/shop": program},
		entrypoint: []string{"/shop"},
	}.mustBuild(t)
}

// buildLock lets one test of the program build at a time; the second finds its
// work done in the build cache.
var buildLock sync.Mutex

func buildShop() (string, error) {
	buildLock.Lock()
	defer buildLock.Unlock()
	dir, err := os.MkdirTemp("", "shop-image")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "shop")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", program, shopPackage)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return "", fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return program, nil
}

// RedisImage returns an image of this machine's Redis server with the libraries
// that it loads. Like the official image it starts redis-server, listening on
// every interface of its container; unlike it, it keeps nothing on disk unless
// told to. A test on a machine without the server is skipped, or fails where
// FAULTLINE_REQUIRE names redis.
func RedisImage(t testing.TB) string {
	t.Helper()
	plugintest.Need(t, "redis", func() error {
		_, err := os.Stat(redisServer)
		return err
	})
	libraries, err := sharedLibraries(redisServer)
	if err != nil {
		t.Fatalf("list the libraries of %s: %v", redisServer, err)
	}
	files := map[string]string{redisServer: redisServer}
	for _, library := range libraries {
		files[library] = library
	}
	return recipe{
		repository: "faultline-test-redis",
		files:      files,
		entrypoint: []string{redisServer},
		cmd:        []string{"--save", "", "--appendonly", "no", "--protected-mode", "no", "--bind", "0.0.0.0"},
	}.mustBuild(t)
}

// sharedLibraries returns the files that the dynamic linker loads for program,
// itself included, by the paths under which it looks for them.
func sharedLibraries(program string) ([]string, error) {
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		return nil, fmt.Errorf("run ldd: %w", err)
	}
	return parseLdd(out)
}

// parseLdd reads lines such as
//
//	libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f…)
//	/lib64/ld-linux-x86-64.so.2 (0x00007f…)
//	linux-vdso.so.1 (0x00007f…)
//
// of which the last is no file but a page that the kernel gives every process.
func parseLdd(out []byte) ([]string, error) {
	var files []string
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		name, found, linked := strings.Cut(line, " => ")
		if !linked {
			found = name
		}
		file, _, _ := strings.Cut(found, " (")
		switch {
		case filepath.IsAbs(file):
			files = append(files, file)
		case linked:
			return nil, fmt.Errorf("library %s is %s", name, found)
		}
	}
	return files, lines.Err()
}
