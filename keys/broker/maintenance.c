#include "keys/broker/maintenance.h"

#include <stdio.h>
#include <string.h>

#include "attestation/collateral/bundle.h"
#include "attestation/collateral/cache.h"
#include "attestation/collateral/kds.h"
#include "attestation/collateral/pcs.h"
#include "base/file.h"
#include "base/options.h"
#include "keys/broker/setup_check.h"
#include "keys/store/store.h"
#include "keys/store/store_key.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_UNUSABLE = 2 };

struct call {
    struct setup_source source;
    struct config       config;
    struct secret       key;
    const char         *operand;
    bool                keeps_uses;
};

static void auto_call(struct call *c)
{
    secret_free(&c->key);
    config_free(&c->config);
}

static FALLIBLE migrate(struct call *c, struct err *err)
{
    int from = 0, to = 0;

    if (!store_migrate(c->config.store, &c->key, &from, &to, err))
        return false;
    printf(from == to ? "the store has version %d already\n" : "migrated the store from version %d to %d\n", from, to);
    return true;
}

static FALLIBLE backup(struct call *c, struct err *err)
{
    if (!store_backup(c->config.store, &c->key, c->operand, err))
        return false;
    printf("backed up to %s; it opens with the same store key only\n", c->operand);
    return true;
}

static FALLIBLE restore(struct call *c, struct err *err)
{
    if (!store_restore(c->operand, &c->key, c->config.store, c->keeps_uses, err))
        return false;
    printf("restored from %s%s\n", c->operand, c->keeps_uses ? "" : "; counted resources have no use left");
    return true;
}

static FALLIBLE verify(struct call *c, struct err *err)
{
    if (!store_verify(c->config.store, &c->key, err))
        return false;
    printf("every secret opens, and the audit log is whole\n");
    return true;
}

enum { BUNDLED_MAX = 1024 };

struct bundled {
    struct answer at[BUNDLED_MAX];
    size_t        n;
};

static void auto_bundled(struct bundled *b)
{
    for (size_t i = 0; i < b->n; i++)
        answer_free(&b->at[i]);
}

/* A bundle names documents by their official addresses, wherever they were had. */
static void address_officially(const struct config *c, struct buffer *url)
{
    const struct { const char *from, *to; } bases[] = { { c->amd_kds, KDS_BASE_URL }, { c->intel_pcs, PCS_BASE_URL } };
    static const char ROOT_LIST[] = "/sgx/certification/v4/rootcacrl"; /* of a PCCS; Intel has it elsewhere */

    for (size_t i = 0; i < 2; i++) {
        AUTO(buffer) struct buffer official = { 0 };
        size_t                     len      = strlen(bases[i].from);
        const char                *rest     = buffer_text(url) + len;

        if (strncmp(buffer_text(url), bases[i].from, len) != 0 || *rest != '/')
            continue;
        if (i == 1 && strcmp(rest, ROOT_LIST) == 0)
            buffer_append_text(&official, PCS_ROOT_CRL_URL);
        else
            buffer_printf(&official, "%s%s", bases[i].to, rest);
        buffer_free(url);
        *url = TAKE(official);
        return;
    }
}

/* What this broker was told by Intel's and AMD's services, for one that may ask nobody. */
static FALLIBLE bundle(struct call *c, struct err *err)
{
    AUTO(bundled) struct bundled all   = { .n = 0 };
    AUTO(cache) struct cache     cache = { 0 };
    AUTO(buffer) struct buffer   text  = { 0 };

    if (!c->config.collateral_cache)
        return fail_with(err, ERR_CONFIG, "collateral_cache is not set: this broker keeps nothing that could be bundled");
    if (access(c->config.collateral_cache, F_OK) < 0)
        return err_os(err, "collateral_cache %s", c->config.collateral_cache);
    if (!cache_open(c->config.collateral_cache, &cache, err) || !cache_list(&cache, all.at, BUNDLED_MAX, &all.n, err))
        return false;
    if (all.n == 0)
        return fail_with(err, ERR_NOT_FOUND, "%s is empty: nothing was fetched yet", c->config.collateral_cache);
    for (size_t i = 0; i < all.n; i++)
        address_officially(&c->config, &all.at[i].url);
    bundle_write(all.at, all.n, &text);
    if (!file_write(c->operand, buffer_bytes(&text), 0644, err))
        return false;
    printf("bundled %zu documents in %s\n", all.n, c->operand);
    return true;
}

static FALLIBLE check(struct call *c, struct err *err) { return setup_check(&c->source, stdout, err); }

static FALLIBLE key_make(struct call *c, struct err *err)
{
    if (!store_key_make(c->operand, err))
        return false;
    printf("made a store key at %s\n", c->operand);
    return true;
}

static const struct command {
    const char *name, *operand, *about;
    bool        needs_config, needs_store;
    FALLIBLE  (*run)(struct call *call, struct err *err);
} COMMANDS[] = {
    { "migrate", NULL, "Brings the store of an older version to this one's. No broker may have it open.", true, true, migrate },
    { "backup", "FILE", "Copies one state of the store into a new file, while brokers work.", true, true, backup },
    { "restore", "FILE", "Copies a backup into an empty store, of the same or another kind.", true, true, restore },
    { "verify", NULL, "Checks that every secret opens and that the audit log is whole.", true, true, verify },
    { "check", NULL, "Reads the configuration and every file that it names, as a start does, and says what is risky about them.", true, false, check },
    { "bundle", "FILE", "Writes what collateral_cache holds into one file, for `collateral` of a broker that may ask nobody.", true, false, bundle },
    { "make-key", "SOURCE", "Makes a store key: SOURCE is a file, tpm:FILE or pkcs11:URI.", false, false, key_make },
};

static const struct command *command_named(const char *word)
{
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        if (strcmp(COMMANDS[i].name, word) == 0)
            return &COMMANDS[i];
    }
    return NULL;
}

bool maintenance_is(const char *word) { return command_named(word) != NULL; }

static FALLIBLE arguments_read(const struct command *command, int argc, char **argv, struct call *c,
                               enum options_outcome *outcome, struct err *err)
{
    char                    title[64], synopsis[64];
    const struct option_row rows[] = {
        { "config", OPTION_TEXT, &c->source.config, "FILE", "the broker's configuration", 0, 0 },
        { "dev", OPTION_TEXT, &c->source.dev, "DIR", "the folder of a broker in development", 0, 0 },
        { "keep-uses", OPTION_FLAG, &c->keeps_uses, NULL, "restore: counted resources keep the uses that the backup has", 0, 0 },
    };
    const struct option_table table = { .command = title, .synopsis = synopsis, .about = command->about, .rows = rows,
                                        .n_rows = sizeof rows / sizeof *rows };
    char  **operands;
    size_t  n;

    (void) snprintf(title, sizeof title, "cloister-broker %s", command->name); /* fits */
    (void) snprintf(synopsis, sizeof synopsis, "%s%s%s", command->needs_config ? "(--config FILE | --dev DIR)" : "",
                    command->needs_config && command->operand ? " " : "", command->operand ? command->operand : ""); /* fits */
    if (!options_parse(&table, argc, argv, outcome, &operands, &n, err))
        return false;
    if (*outcome == OPTIONS_HELP_WAS_PRINTED)
        return true;
    if (n != (command->operand ? 1 : 0) || (command->needs_config && !c->source.config == !c->source.dev))
        return fail_with(err, ERR_CONFIG, "usage: %s %s", title, synopsis);
    c->operand      = n ? operands[0] : NULL;
    c->source.again = command->run != restore; /* a mistyped --dev must not become an empty broker that is "whole" */
    return true;
}

int maintenance_run(int argc, char **argv)
{
    const struct command  *command = command_named(argv[0]);
    AUTO(call) struct call c       = { 0 };
    enum options_outcome   outcome;
    struct err             err;

    if (!arguments_read(command, argc, argv, &c, &outcome, &err)) {
        fprintf(stderr, "cloister-broker: %s\n", err.text);
        return EXIT_UNUSABLE;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return EXIT_DONE;
    if ((command->needs_config && !setup_config(&c.source, &c.config, &err)) ||
        (command->needs_store && !store_key_read(c.config.store_key, &c.key, &err)) ||
        !command->run(&c, &err)) {
        fprintf(stderr, "cloister-broker: %s\n", err.text);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}
