#include "keys/broker/setup_check.h"

#include <string.h>

#include "keys/broker/listener.h"
#include "keys/broker/risks.h"
#include "keys/broker/server.h"

struct told {
    FILE  *out;
    size_t n;
};

static void risk_print(void *owner, const char *what, const char *where, const char *why)
{
    struct told *told = owner;

    fprintf(told->out, "warning: %s: %s: %s\n", what, where, why);
    told->n++;
}

static FALLIBLE addresses_check(const struct config *c, struct err *err)
{
    const struct { const char *key, *address; } rows[] = {
        { "listen", c->listen },
        { "admin_listen", strcmp(c->admin_listen, CONFIG_ADMIN_SAME) == 0 ? NULL : c->admin_listen },
        { "metrics_listen", c->metrics_listen },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].address && !listener_address_check(rows[i].address, err))
            return context(err, rows[i].key);
    }
    return !c->insecure_http || server_may_be_plain(c, c->listen, err);
}

FALLIBLE setup_check(const struct setup_source *source, FILE *out, struct err *err)
{
    AUTO(setup) struct setup setup = { 0 };
    struct told              told  = { .out = out };

    if (!setup_read(source, &setup, err) || !addresses_check(&setup.config, err))
        return false;
    risks_each(&setup.config, risk_print, &told);
    fprintf(out, "the configuration and every file that it names can be used%s; `verify` looks at the store\n",
            told.n ? ", with these warnings" : "");
    return true;
}
