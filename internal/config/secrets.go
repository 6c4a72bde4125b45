package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxSecretFile bounds a file of secrets.
	maxSecretFile = 64 << 10
	// minSecret is the least length of a secret that signs: shorter ones can be
	// found by trying.
	minSecret = 16
	// strangers are the permissions that a file with a secret may not give: to
	// whoever is neither its owner nor in its group.
	strangers = 0o007
)

// readFiles does what needs the disk.
func readFiles(d *decoder, c *Config) {
	readSecrets(d, c)
	warnOfUsers(d, c)
}

// readSecrets reads the files whose contents belong to the configuration.
func readSecrets(d *decoder, c *Config) {
	for i := range c.Routes {
		r := &c.Routes[i]
		r.Password = firstLine(d, "route["+strconv.Itoa(i)+"].password_file", "password", r.PasswordFile)
	}
	u := &c.Users
	u.SQL.URL = firstLine(d, "users.sql.url_file", "URL", u.SQL.URLFile)
	u.LDAP.BindPassword = firstLine(d, "users.ldap.bind_password_file", "password", u.LDAP.BindPasswordFile)
	u.OAuth.ClientSecret = firstLine(d, "users.oauth.client_secret_file", "secret", u.OAuth.ClientSecretFile)
	if c.SRS.SecretFile == "" {
		return
	}
	lines, err := secretLines(c.SRS.SecretFile)
	if err != nil {
		d.r.add(d.at["srs.secret_file"], err.Error(), hintFor(err, c.SRS.SecretFile))
		return
	}
	for i, line := range lines {
		switch {
		case line == "":
		case len(line) < minSecret:
			d.r.add(d.at["srs.secret_file"], fmt.Sprintf("the secret in line %d has less than %d characters", i+1, minSecret), "")
		default:
			c.SRS.Secrets = append(c.SRS.Secrets, Secret(line))
		}
	}
	if len(c.SRS.Secrets) == 0 {
		d.r.add(d.at["srs.secret_file"], "no secret is in the file", "")
	}
}

// firstLine returns the secret that a key's file holds, or none without a file.
func firstLine(d *decoder, key, what, path string) Secret {
	if path == "" {
		return ""
	}
	lines, err := secretLines(path)
	switch {
	case err != nil:
		d.r.add(d.at[key], err.Error(), hintFor(err, path))
	case lines[0] == "":
		d.r.add(d.at[key], "the first line of the "+what+" file is empty", "")
	default:
		return Secret(lines[0])
	}
	return ""
}

// errOpenToAll says that a secret is none.
var errOpenToAll = errors.New("others than its owner and group have access to the file")

func hintFor(err error, path string) string {
	if errors.Is(err, errOpenToAll) {
		return "chmod 600 " + path
	}
	return ""
}

// secretLines returns the lines of a file, at least one. No error holds anything
// of them.
func secretLines(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.New(reason(err))
	}
	defer f.Close() // only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, errors.New(reason(err))
	case !info.Mode().IsRegular():
		return nil, errors.New("not a file")
	case info.Mode().Perm()&strangers != 0:
		return nil, errOpenToAll
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	switch {
	case err != nil:
		return nil, errors.New(reason(err))
	case len(text) > maxSecretFile:
		return nil, fmt.Errorf("larger than %s", FormatSize(maxSecretFile))
	case !utf8.Valid(text) || strings.ContainsRune(string(text), 0):
		return nil, errors.New("not a text file")
	}
	lines := strings.Split(string(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines, nil
}
