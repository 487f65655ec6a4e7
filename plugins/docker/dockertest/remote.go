//go:build linux

package dockertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/plugintest"
)

// remote lets the engine of the tests be reached in another way: each connection to a
// listener of its own is handed over to serve, until the test ends.
func remote(t testing.TB, serve func(net.Conn)) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// SSH gives the engine an address by ssh: a real server of the test's own, with keys of
// its own, which the ssh command of this process and its children uses from here on.
// Nothing of the user's or the machine's ssh is touched.
func SSH(t *testing.T) (host string) {
	t.Helper()
	Client(t)
	const server = "/usr/sbin/sshd"
	var client string
	plugintest.Need(t, "sshd", func() (err error) {
		if _, err = os.Stat(server); err != nil {
			return fmt.Errorf("%w: install the package openssh-server", err)
		}
		for _, name := range []string{"ssh-keygen", "docker", "ssh"} {
			if client, err = exec.LookPath(name); err != nil {
				return err
			}
		}
		return nil
	})
	me, err := user.Current()
	must(t, err)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		must(t, os.WriteFile(file(name), []byte(text), mode))
	}
	public := map[string]string{}
	for _, key := range []string{"server", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file(key)).CombinedOutput(); err != nil {
			t.Fatalf("make a key: %v: %s", err, out)
		}
		raw, err := os.ReadFile(file(key + ".pub"))
		must(t, err)
		public[key] = string(raw)
	}
	write("authorized", public["user"], 0o600)
	write("sshd_config", strings.Join([]string{
		"HostKey " + file("server"), "AuthorizedKeysFile " + file("authorized"), "PidFile none",
		"UsePAM no", "StrictModes no", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"PermitRootLogin prohibit-password", "SetEnv PATH=" + os.Getenv("PATH"), "",
	}, "\n"), 0o600)
	if os.Geteuid() == 0 { // where its unprivileged half lives: an empty folder
		// It stays, as that of the machine's own service does: the server of another
		// package's test may just be starting in it.
		if err := os.Mkdir("/run/sshd", 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
	}
	at := remote(t, func(c net.Conn) {
		raw, err := c.(*net.TCPConn).File()
		if err != nil {
			t.Error(err)
			return
		}
		defer raw.Close()
		c.Close() // the server's copy is the only one
		cmd := exec.Command(server, "-i", "-e", "-f", file("sshd_config"))
		cmd.Stdin, cmd.Stdout = raw, raw
		said, err := os.OpenFile(file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Error(err)
			return
		}
		defer said.Close()
		cmd.Stderr = said
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		_ = cmd.Run() // ends with its connection, by whatever
	})
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := os.ReadFile(file("log"))
			t.Logf("the ssh server: %s", said)
		}
	})
	_, port, err := net.SplitHostPort(at.String())
	must(t, err)
	write("known", "[127.0.0.1]:"+port+" "+public["server"], 0o600)
	write("ssh_config", strings.Join([]string{
		"IdentityFile " + file("user"), "IdentitiesOnly yes", "IdentityAgent none",
		"UserKnownHostsFile " + file("known"), "GlobalKnownHostsFile none", "StrictHostKeyChecking yes", "",
	}, "\n"), 0o600)
	must(t, os.Mkdir(file("bin"), 0o700))
	write("bin/ssh", "#!/bin/sh\nexec "+client+" -F "+file("ssh_config")+` "$@"`+"\n", 0o700)
	t.Setenv("PATH", file("bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	return "ssh://" + me.Username + "@127.0.0.1:" + port
}

// Secured is an engine that is reached by TCP with TLS, and the files that a client needs.
type Secured struct{ Host, CA, Cert, Key string }

// TLS gives the engine an address with TLS, where nobody gets in without the certificate
// made for the test.
func TLS(t testing.TB) Secured {
	t.Helper()
	socket, ok := strings.CutPrefix(Client(t).DaemonHost(), "unix://")
	if !ok {
		t.Fatal("the engine of the tests is not at a socket of this machine")
	}
	dir := t.TempDir()
	authority := newCertificate(t, nil, "authority")
	pool := x509.NewCertPool()
	pool.AddCert(authority.leaf)
	server := newCertificate(t, &authority, "127.0.0.1")
	config := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{server.leaf.Raw}, PrivateKey: server.key}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool,
	}
	at := remote(t, func(plain net.Conn) {
		c := tls.Server(plain, config)
		defer c.Close()
		if err := c.HandshakeContext(t.Context()); err != nil {
			return // somebody without the certificate
		}
		engine, err := net.Dial("unix", socket)
		if err != nil {
			t.Error(err)
			return
		}
		defer engine.Close()
		var both sync.WaitGroup
		both.Go(func() {
			_, _ = io.Copy(engine, c)
			_ = engine.(*net.UnixConn).CloseWrite()
		})
		_, _ = io.Copy(c, engine)
		_ = c.CloseWrite()
		plain.Close() // whoever still sends sends to nobody
		both.Wait()
	})
	write := func(name, kind string, raw []byte) string {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600))
		return file
	}
	mine := newCertificate(t, &authority, "client")
	key, err := x509.MarshalECPrivateKey(mine.key)
	must(t, err)
	return Secured{
		Host: "tcp://" + at.String(),
		CA:   write("ca.pem", "CERTIFICATE", authority.leaf.Raw), Cert: write("cert.pem", "CERTIFICATE", mine.leaf.Raw),
		Key: write("key.pem", "EC PRIVATE KEY", key),
	}
}

type certificate struct {
	leaf *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newCertificate makes a certificate for an hour, signed by another, or by itself.
func newCertificate(t testing.TB, by *certificate, name string) (c certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	form := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		form.IPAddresses = []net.IP{ip}
	}
	parent, signer := form, key
	if by != nil {
		parent, signer = by.leaf, by.key
	} else {
		form.IsCA, form.BasicConstraintsValid, form.KeyUsage = true, true, x509.KeyUsageCertSign
	}
	raw, err := x509.CreateCertificate(rand.Reader, form, parent, &key.PublicKey, signer)
	must(t, err)
	leaf, err := x509.ParseCertificate(raw)
	must(t, err)
	return certificate{leaf, key}
}
