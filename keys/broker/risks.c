#include "keys/broker/risks.h"

#include <stddef.h>

void risks_each(const struct config *c, risk_fn *tell, void *owner)
{
    const struct {
        bool        is_taken;
        const char *what, *where, *why;
    } rows[] = {
        { c->insecure_http, "INSECURE HTTP SERVED", c->listen,
          "no TLS: who is on the way reads tokens, and can pose as this broker and hand guests secrets of his own; only behind a proxy or mesh that encrypts" },
        { c->development_root != NULL, "development root trusted", c->development_root,
          "guests under it are simulated, and nothing protects their secrets" },
        { c->tdx_development_root != NULL, "development root of TDX trusted", c->tdx_development_root,
          "evidence under it is made for tests, and nothing protects their secrets" },
        { c->sample, "sample evidence taken", "sample = true", "anyone can make it up: keep it from secrets by policy, or set sample = false" },
        { c->tpm_any_key, "TPM evidence under any key taken", "tpm_any_key = true", "it proves nothing: set tpm_any_key = false" },
        { c->snp && !c->snp_crl_required && !c->development_root, "AMD's revocation lists not required", "snp_crl_required = false",
          "evidence of a chip whose key was revoked is taken where no list is at hand" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].is_taken)
            tell(owner, rows[i].what, rows[i].where, rows[i].why);
    }
}
