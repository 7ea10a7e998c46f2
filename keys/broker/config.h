/* What a broker is told: one table of keys, read from TOML; --dev fills in a folder of its own. */
#pragma once

#include <stdio.h>

#include "base/json.h"

#define CONFIG_ADMIN_SAME "same"

struct config {
    char *listen;            /* "127.0.0.1:8443", "[::1]:0" */
    bool  insecure_http;     /* `listen` speaks no TLS */
    bool  insecure_http_anywhere; /* … also where it is no loopback address */
    char *store;             /* a file, or postgresql://... */
    char *store_key;
    char *tls_certificate, *tls_key; /* NULL: nothing is served over TLS */
    char *token_certificate, *token_key;
    char *token_issuer;
    char *admin_key;         /* NULL: none */
    char *administrators;    /* file; NULL: none */
    char *admin_client_ca;   /* PEM: who signs administrators' certificates; NULL: tokens only */
    char *admin_listen;      /* address and port; "same": where guests are served */
    char *development_root;  /* folder; NULL: none is trusted */
    char *snp_crls;          /* folder of DER files; NULL: none */
    char *snp_vleks;         /* folder of certificates; NULL: none */
    bool  snp;               /* trust AMD's roots */
    bool  snp_crl_required;
    char *snp_policy;        /* file; NULL: the strict one */
    char *tdx_root;          /* file: Intel's root CA; NULL: it is not trusted */
    char *tdx_development_root; /* file: root CA of evidence made for tests; NULL: none is trusted */
    char *tdx_policy;        /* file; NULL: the strict one */
    char *collateral;        /* file: a bundle; NULL: none */
    char *tpm_policy;        /* file; NULL: the strict one */
    bool  tpm;               /* take evidence of TPMs under registered keys */
    bool  tpm_any_key;       /* … under any key */
    bool  sample;            /* take evidence that anyone can make up */
    bool  deny_with_403;     /* what policy denies; else 401 */
    uint64_t session_seconds;
    uint64_t connections;
    uint64_t connections_per_peer;
    uint64_t handshake_seconds, request_seconds, idle_seconds;
    uint64_t shed_ms;
    char *metrics_listen;    /* NULL: none */
    char *log;               /* "text" or "json" */
    char *vault, *vault_ca, *vault_mount, *vault_folder, *vault_namespace, *vault_token, *vault_role_id, *vault_secret_id; /* NULL: none */
    char *vault_resources;   /* start of the paths that are kept there */
    uint64_t vault_seconds;
    char *pkcs11, *pkcs11_resources;
    char *collateral_hosts;  /* NULL: offline */
    char *collateral_cache, *collateral_ca, *amd_kds, *intel_pcs;
    uint64_t collateral_seconds;
};

void config_free(struct config *config);
static inline void auto_config(struct config *c) { config_free(c); }

/*
 * Reads a document. A key that is unknown, of another type, out of range or missing is named.
 *
 *   out    yours, AUTO(config); written only on success
 *
 * Fails CONFIG, MALFORMED.
 */
FALLIBLE config_read(struct bytes toml, struct config *out, struct err *err);

/* Whether anything is served over TLS: tls_certificate and tls_key are there then. */
bool config_has_tls(const struct config *config);

/* The configuration of `--dev FOLDER`: everything in that folder. */
FALLIBLE config_development(const char *folder, const char *listen, struct config *out, struct err *err);

/* The table as a configuration file: required keys with an example, the others in comments with what they fall back to. */
void config_print(FILE *to);
