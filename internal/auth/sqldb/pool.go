package sqldb

import (
	"context"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// pool is the server of pgx.
type pool struct {
	*pgxpool.Pool
	query string
}

func newPool(o Options) (*pool, error) {
	c, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, err // without the password
	}
	if !saysTLS(o.URL) && !isLocal(c.ConnConfig.Host) {
		// libpq's "prefer" would take a connection in clear from whoever offers one.
		if c, err = pgxpool.ParseConfig(withTLS(o.URL)); err != nil {
			return nil, err
		}
	}
	c.MaxConns = int32(min(o.Connections, 10_000))
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	c.PingTimeout = c.ConnConfig.ConnectTimeout
	if _, named := c.ConnConfig.RuntimeParams["application_name"]; !named {
		c.ConnConfig.RuntimeParams["application_name"] = "postrider"
	}
	// Nothing is asked before the first lookup: the pool has no least number of connections.
	p, err := pgxpool.NewWithConfig(context.Background(), c)
	if err != nil {
		return nil, err
	}
	return &pool{p, o.Query}, nil
}

// rows runs the query, which is prepared once for each connection; pgx prepares it
// anew when the tables have changed under it.
func (p *pool) rows(ctx context.Context, name string) (columns []string, rows [][]any, err error) {
	r, err := p.Query(ctx, p.query, name)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	for _, f := range r.FieldDescriptions() {
		columns = append(columns, f.Name)
	}
	for len(rows) < 2 && r.Next() {
		row, err := r.Values()
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, row)
	}
	r.Close()
	return columns, rows, r.Err()
}

func (p *pool) close() { p.Close() }

var sslmode = regexp.MustCompile(`(^|[\s?&])sslmode\s*=`)

// saysTLS reports whether the operator has decided about encryption.
func saysTLS(text string) bool { return sslmode.MatchString(text) || os.Getenv("PGSSLMODE") != "" }

// withTLS asks for a certificate that is checked.
func withTLS(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		return text + " sslmode=verify-full"
	}
	q := u.Query()
	q.Set("sslmode", "verify-full")
	u.RawQuery = q.Encode()
	return u.String()
}

// isLocal reports a server on this machine: a socket or a loopback address.
func isLocal(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" || err == nil && addr.IsLoopback()
}
