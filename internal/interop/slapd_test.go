//go:build interop

package interop

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"postrider/internal/auth/guard"
	"postrider/internal/auth/ldapdb"
)

// slapd is an OpenLDAP server in a folder of its own.
type slapd struct {
	t                    *testing.T
	dir                  string
	plain, tls, unixPath string
	ca                   string
	cmd                  *exec.Cmd
}

const slapdConfig = `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %[1]s/pid
TLSCertificateFile %[1]s/slapd.pem
TLSCertificateKeyFile %[1]s/slapd.key
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=people,dc=example,dc=org" by dn.exact="cn=postrider,dc=example,dc=org" read by * none
access to * by * none
database mdb
suffix "dc=example,dc=org"
directory %[1]s/data
dbnosync
`

const slapdEntries = `dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: example
dc: example

dn: cn=postrider,dc=example,dc=org
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: postrider
userPassword: reader

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: uid=ann,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
objectClass: inetLocalMailRecipient
cn: Ann
sn: Smith
uid: ann
mail: ann@example.org
mailLocalAddress: info@example.org
mailLocalAddress: a.smith@example.org
userPassword: ann's

dn: uid=t1,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: One
sn: One
mail: twins@example.org
userPassword: one

dn: uid=t2,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Two
sn: Two
mail: twins@example.org
userPassword: two

dn: uid=none,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: None
sn: None
mail: none@example.org
`

func newSlapd(t *testing.T) *slapd {
	t.Helper()
	s := &slapd{t: t, dir: t.TempDir(), plain: freeAddress(t), tls: freeAddress(t)}
	s.unixPath = filepath.Join(s.dir, "ldapi")
	s.ca = writePair(t, s.dir, "slapd").certificate
	if err := os.Mkdir(filepath.Join(s.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"conf": fmt.Sprintf(slapdConfig, s.dir), "ldif": slapdEntries} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := tool(t, "", "slapadd", "-q", "-f", filepath.Join(s.dir, "conf"), "-l", filepath.Join(s.dir, "ldif")); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	s.start()
	return s
}

func (s *slapd) start() {
	s.t.Helper()
	// With a level of debugging, even none, it stays in the foreground.
	s.cmd = exec.Command("slapd", "-d", "0", "-f", filepath.Join(s.dir, "conf"),
		"-h", "ldap://"+s.plain+" ldaps://"+s.tls+" ldapi://"+url.PathEscape(s.unixPath))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	errLog, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer errLog.Close()
	s.cmd.Stderr = errLog
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	cmd := s.cmd
	s.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if !await(20*time.Second, func() bool { return dials(s.plain) && dials(s.tls) }) {
		text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		s.t.Fatalf("slapd does not listen:\n%s", text)
	}
}

func (s *slapd) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	_ = s.cmd.Wait() // whose error only says that it was killed
}

func (s *slapd) roots() *tls.Config {
	s.t.Helper()
	text, err := os.ReadFile(s.ca)
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: pool}
}

// open returns users in the directory, for whom nothing is remembered.
func (s *slapd) open(change func(*ldapdb.Options)) *ldapdb.DB {
	s.t.Helper()
	o := ldapdb.Options{
		URL: "ldaps://" + s.tls, TLS: s.roots(), Base: "ou=people,dc=example,dc=org",
		Filter:     "(&(objectClass=inetOrgPerson)(|(mail={user})(mailLocalAddress={user})))",
		Attributes: ldapdb.Attributes{Name: "mail", Senders: "mailLocalAddress"},
		BindDN:     "cn=postrider,dc=example,dc=org", BindPassword: "reader",
		Guard: guard.Options{Entries: -1, Limits: guard.Limits{Timeout: 20 * time.Second, Wait: 10 * time.Millisecond, MaxWait: 50 * time.Millisecond}},
	}
	if change != nil {
		change(&o)
	}
	db, err := ldapdb.New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return db
}
