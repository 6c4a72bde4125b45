package config

// Files returns the paths of all files and folders that c was read from or names,
// besides data_dir and what is below it.
func (c *Config) Files() []string {
	list := []string{
		c.Path, c.TLS.Certificate, c.TLS.Key, c.Users.File, c.Users.SQL.URLFile, c.Users.LDAP.TLSCA, c.Users.LDAP.BindPasswordFile,
		c.Users.OAuth.ClientSecretFile, c.Outbound.RepliesFile, c.Outbound.ProvidersFile, c.Aliases.File, c.SRS.SecretFile,
		c.Bounce.Templates, c.Admin.TokenFile,
	}
	for i := range c.Routes {
		list = append(list, c.Routes[i].PasswordFile)
	}
	files := list[:0]
	seen := make(map[string]bool)
	for _, path := range list {
		if path != "" && !seen[path] {
			seen[path] = true
			files = append(files, path)
		}
	}
	return files
}
