#include "keys/broker/administrators.h"

#include <limits.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "base/toml.h"
#include "keys/api/admin.h"
#include "keys/jose/jwt.h"

enum { KEY_FILE_MAX = 64 << 10, TENANTS_MAX = 64, LEEWAY_S = 60, TOKEN_S_LEAST = 10, TOKEN_S_MOST = 86400,
       TRIED_WITHOUT_NAME = 8 };

#define BIT(permission) (1u << (permission))

static const struct { const char *name; unsigned may; } ROLES[] = {
    { "admin", BIT(N_PERMISSIONS) - 1 },
    { "keys", BIT(MAY_LIST) | BIT(MAY_PUT) },
    { "reader", BIT(MAY_LIST) | BIT(MAY_READ) },
    { "policy", BIT(MAY_LIST) | BIT(MAY_POLICY) },
    { "reference", BIT(MAY_LIST) | BIT(MAY_REFERENCE) },
    { "auditor", BIT(MAY_LIST) | BIT(MAY_AUDIT) },
};

static const char *const PERMISSIONS[N_PERMISSIONS] = {
    [MAY_LIST] = "list", [MAY_PUT] = "put or remove resources", [MAY_READ] = "read secrets",
    [MAY_POLICY] = "set policies", [MAY_REFERENCE] = "change reference values", [MAY_AUDIT] = "read the audit log",
};

struct administrator {
    char         name[ADMINISTRATOR_NAME_MAX + 1];
    EVP_PKEY    *key; /* NULL: no tokens */
    bool         has_certificate;
    uint8_t      certificate[SHA256_LEN];
    unsigned     may;
    bool         all_tenants;
    char        *tenants[TENANTS_MAX];
    size_t       n_tenants;
    uint64_t     token_s;
};

struct signer {
    char      name[ADMINISTRATOR_NAME_MAX + 1];
    EVP_PKEY *key;
};

struct administrators {
    struct administrator at[ADMINISTRATORS_MAX];
    size_t               n;
    struct signer        signers[SIGNERS_MAX];
    size_t               n_signers;
    bool                 wants_signatures;
};

void administrators_free(struct administrators *administrators)
{
    if (!administrators)
        return;
    for (size_t i = 0; i < administrators->n; i++) {
        EVP_PKEY_free(administrators->at[i].key);
        for (size_t j = 0; j < administrators->at[i].n_tenants; j++)
            free(administrators->at[i].tenants[j]);
    }
    for (size_t i = 0; i < administrators->n_signers; i++)
        EVP_PKEY_free(administrators->signers[i].key);
    free(administrators);
}

static struct administrators *administrators_new(void)
{
    struct administrators *made = calloc(1, sizeof *made);

    if (!made)
        abort();
    return made;
}

FALLIBLE administrators_one(EVP_PKEY *key, struct administrators **out, struct err *err)
{
    struct administrators *made = administrators_new();

    (void) err;
    made->n     = 1;
    made->at[0] = (struct administrator){ .name = "admin", .may = ROLES[0].may, .all_tenants = true,
                                          .token_s = ADMIN_TOKEN_LIFE_S, .key = key };
    if (EVP_PKEY_up_ref(key) != 1)
        abort();
    *out = made;
    return true;
}

/* ---- the file ---- */

static bool role_named(const char *name, unsigned *may)
{
    for (size_t i = 0; i < sizeof ROLES / sizeof *ROLES; i++) {
        if (strcmp(ROLES[i].name, name) == 0) {
            *may = ROLES[i].may;
            return true;
        }
    }
    return false;
}

static FALLIBLE key_read(const char *folder, const char *name, EVP_PKEY **out, struct err *err)
{
    AUTO(buffer) struct buffer pem = { 0 };
    AUTO(bio) BIO             *bio = NULL;
    AUTO(pkey) EVP_PKEY       *key = NULL;
    char                       path[PATH_MAX];

    if ((size_t) snprintf(path, sizeof path, "%s%s%s", name[0] == '/' ? "" : folder, name[0] == '/' ? "" : "/", name) >=
        sizeof path)
        return fail_with(err, ERR_CONFIG, "the path of a key is too long");
    if (!file_read(path, KEY_FILE_MAX, &pem, err))
        return false;
    bio = BIO_new_mem_buf(pem.at, (int) pem.len);
    key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    if (!key)
        return err_openssl(err, ERR_CONFIG, path);
    if (!EVP_PKEY_is_a(key, "ED25519") && !(EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 256))
        return fail_with(err, ERR_CONFIG, "%s: the key is neither Ed25519 nor P-256", path);
    *out = TAKE(key);
    return true;
}

static FALLIBLE name_read(struct json_object *table, char out[static ADMINISTRATOR_NAME_MAX + 1], struct err *err)
{
    const char *name;

    if (!json_get_text(table, "name", &name, err))
        return false;
    if (name[0] == 0 || strlen(name) > ADMINISTRATOR_NAME_MAX || !is_utf8(bytes_of_text(name)))
        return fail_with(err, ERR_CONFIG, "a name of 1 to %d characters is wanted", ADMINISTRATOR_NAME_MAX);
    (void) snprintf(out, ADMINISTRATOR_NAME_MAX + 1, "%s", name); /* fits: asked above */
    return true;
}

static FALLIBLE members_known(struct json_object *table, const char *const *names, size_t n, struct err *err)
{
    json_object_object_foreach(table, name, value)
    {
        bool known = false;

        (void) value;
        for (size_t i = 0; i < n; i++)
            known = known || strcmp(names[i], name) == 0;
        if (!known)
            return fail_with(err, ERR_CONFIG, "there is no key \"%.40s\"", name);
    }
    return true;
}

static FALLIBLE roles_read(struct json_object *table, struct administrator *a, struct err *err)
{
    struct json_object *roles;

    if (!json_get(table, "roles", json_type_array, &roles, err))
        return false;
    for (size_t i = 0; i < json_object_array_length(roles); i++) {
        const char *role = json_object_get_string(json_object_array_get_idx(roles, i));
        unsigned    may;

        if (!role || !role_named(role, &may))
            return fail_with(err, ERR_CONFIG, "\"%.40s\" is no role; there are admin, keys, reader, policy, reference, auditor",
                             role ? role : "null");
        a->may |= may;
    }
    return a->may != 0 || fail_with(err, ERR_CONFIG, "no role is given");
}

static FALLIBLE tenants_read(struct json_object *table, struct administrator *a, struct err *err)
{
    struct json_object *tenants;

    if (!json_get(table, "tenants", json_type_array, &tenants, err))
        return false;
    for (size_t i = 0; i < json_object_array_length(tenants); i++) {
        const char *tenant = json_object_get_string(json_object_array_get_idx(tenants, i));

        if (tenant && strcmp(tenant, "*") == 0) {
            a->all_tenants = true;
            continue;
        }
        if (!tenant || tenant[0] == 0 || strchr(tenant, '/') || a->n_tenants == TENANTS_MAX)
            return fail_with(err, ERR_CONFIG, "tenants: at most %d repositories, without a slash, or \"*\"", TENANTS_MAX);
        a->tenants[a->n_tenants] = strdup(tenant);
        if (!a->tenants[a->n_tenants++])
            abort();
    }
    return a->all_tenants || a->n_tenants > 0 || fail_with(err, ERR_CONFIG, "no tenant is given; \"*\" is all of them");
}

static FALLIBLE proof_read(struct json_object *table, const char *folder, struct administrator *a, struct err *err)
{
    const char *text;

    if (json_has(table, "key") && (!json_get_text(table, "key", &text, err) || !key_read(folder, text, &a->key, err)))
        return false;
    if (json_has(table, "certificate_sha256")) {
        if (!json_get_text(table, "certificate_sha256", &text, err) ||
            !hex_read_exact(text, a->certificate, sizeof a->certificate, err))
            return fail_with(err, ERR_CONFIG, "certificate_sha256 is not 64 hex digits");
        a->has_certificate = true;
    }
    return a->key || a->has_certificate || fail_with(err, ERR_CONFIG, "neither key nor certificate_sha256 is given");
}

static FALLIBLE administrator_read(struct json_object *table, const char *folder, struct administrator *a, struct err *err)
{
    static const char *const MEMBERS[] = { "name", "key", "certificate_sha256", "roles", "tenants", "token_seconds" };

    a->token_s = 300;
    if (!name_read(table, a->name, err))
        return false;
    if (!members_known(table, MEMBERS, sizeof MEMBERS / sizeof *MEMBERS, err) || !roles_read(table, a, err) ||
        !tenants_read(table, a, err) || !proof_read(table, folder, a, err) ||
        (json_has(table, "token_seconds") && !json_get_u64(table, "token_seconds", TOKEN_S_MOST, &a->token_s, err)))
        return contextf(err, "administrator \"%.64s\"", a->name);
    return a->token_s >= TOKEN_S_LEAST ||
           fail_with(err, ERR_CONFIG, "administrator \"%.64s\": token_seconds is less than %d", a->name, TOKEN_S_LEAST);
}

static FALLIBLE signer_read(struct json_object *table, const char *folder, struct signer *s, struct err *err)
{
    static const char *const MEMBERS[] = { "name", "key" };
    const char              *key;

    if (!name_read(table, s->name, err))
        return false;
    return (members_known(table, MEMBERS, 2, err) && json_get_text(table, "key", &key, err) &&
            key_read(folder, key, &s->key, err)) ||
           contextf(err, "signer \"%.64s\"", s->name);
}

/* The array of tables `name`, which may be missing. */
static FALLIBLE tables_of(struct json_object *whole, const char *name, size_t most, struct json_object **out, size_t *n,
                          struct err *err)
{
    *n = 0;
    if (!json_has(whole, name))
        return true;
    if (!json_get(whole, name, json_type_array, out, err))
        return false;
    *n = json_object_array_length(*out);
    return *n <= most || fail_with(err, ERR_LIMIT, "%zu tables [[%s]]; at most %zu", *n, name, most);
}

static FALLIBLE names_differ(const struct administrators *a, struct err *err)
{
    for (size_t i = 0; i < a->n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(a->at[i].name, a->at[j].name) == 0)
                return fail_with(err, ERR_CONFIG, "administrator \"%.64s\" stands there twice", a->at[i].name);
        }
    }
    return true;
}

static FALLIBLE document_read(struct json_object *whole, const char *folder, struct administrators *a, struct err *err)
{
    static const char *const MEMBERS[] = { "administrator", "signer", "reference_signatures" };
    struct json_object      *administrators = NULL, *signers = NULL, *flag;
    size_t                   n, n_signers;

    if (!members_known(whole, MEMBERS, sizeof MEMBERS / sizeof *MEMBERS, err) ||
        !tables_of(whole, "administrator", ADMINISTRATORS_MAX, &administrators, &n, err) ||
        !tables_of(whole, "signer", SIGNERS_MAX, &signers, &n_signers, err))
        return false;
    while (a->n < n) {
        if (!administrator_read(json_object_array_get_idx(administrators, a->n), folder, &a->at[a->n], err)) {
            a->n++; /* what was read of it is released with the rest */
            return false;
        }
        a->n++;
    }
    for (; a->n_signers < n_signers; a->n_signers++) {
        if (!signer_read(json_object_array_get_idx(signers, a->n_signers), folder, &a->signers[a->n_signers], err))
            return false;
    }
    if (json_has(whole, "reference_signatures")) {
        if (!json_get(whole, "reference_signatures", json_type_boolean, &flag, err))
            return false;
        a->wants_signatures = json_object_get_boolean(flag);
    }
    return names_differ(a, err);
}

FALLIBLE administrators_read(struct bytes toml, const char *folder, struct administrators **out, struct err *err)
{
    AUTO(administrators) struct administrators *made  = administrators_new();
    AUTO(json) struct json_object              *whole = NULL;

    if (!toml_read(toml, &whole, err) || !document_read(whole, folder, made, err))
        return false;
    *out = TAKE(made);
    return true;
}

/* ---- who calls ---- */

/* The administrator that the token names as `sub`; NULL when it names none of them. Not yet proven. */
static const struct administrator *named_by(const struct administrators *a, struct bytes token)
{
    AUTO(json) struct json_object *payload = NULL;
    const char                    *sub;
    struct err                     ignored; /* what cannot be read names nobody, and will not verify either */

    if (!jwt_peek(token, ADMIN_TOKEN_MAX, &payload, &ignored) || !json_get_text(payload, "sub", &sub, &ignored))
        return NULL;
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->at[i].name, sub) == 0)
            return &a->at[i];
    }
    return NULL;
}

#define UNVERIFIED "Cannot verify token with any of the issuers" /* Trustee's words, which its tests look for */

/* Whose key holds: the one named, else each of few. */
static FALLIBLE key_find(const struct administrators *a, struct bytes token, struct caller *out, struct err *err)
{
    const struct administrator *named  = named_by(a, token);
    bool                        is_any = false;

    if (named) {
        out->who = named;
        if (!named->key)
            return fail_with(err, ERR_DENIED, "that administrator has a certificate, not a token");
        return jwt_verify(token, ADMIN_TOKEN_MAX, named->key, &out->claims, err) ||
               fail_with(err, ERR_DENIED, UNVERIFIED ": it is not signed with the key of administrator %.64s", named->name);
    }
    if (a->n > TRIED_WITHOUT_NAME)
        return fail_with(err, ERR_DENIED, "the token does not say in \"sub\" which administrator it is of");
    for (size_t i = 0; i < a->n; i++) {
        out->who = &a->at[i];
        is_any   = is_any || out->who->key;
        if (out->who->key && jwt_verify(token, ADMIN_TOKEN_MAX, out->who->key, &out->claims, err))
            return true;
    }
    if (!is_any)
        return fail_with(err, ERR_DENIED, "there is no administrator with a key");
    return fail_with(err, ERR_DENIED, UNVERIFIED ": no administrator of this broker has the key that signed it");
}

static FALLIBLE life_check(const struct caller *c, int64_t now, struct err *err)
{
    uint64_t exp, iat = (uint64_t) now;

    if (!json_get_u64(c->claims, "exp", INT64_MAX, &exp, err))
        return false;
    if (exp <= (uint64_t) now)
        return fail_with(err, ERR_UNTRUSTED, "the administrator's token has expired: do the clocks of both machines agree?");
    if (json_has(c->claims, "iat") && !json_get_u64(c->claims, "iat", INT64_MAX, &iat, err))
        return false;
    if (exp - (uint64_t) now > c->who->token_s || iat > (uint64_t) now + LEEWAY_S || exp < iat || exp - iat > c->who->token_s)
        return fail_with(err, ERR_DENIED, "the administrator's token lives longer than %llu s",
                         (unsigned long long) c->who->token_s);
    return jwt_check_times(c->claims, (uint64_t) now, LEEWAY_S, err); /* nbf, by a clock that may differ */
}

static FALLIBLE role_narrow(struct caller *c, struct err *err)
{
    const char *role;
    unsigned    may;

    c->may = c->who->may;
    if (!json_has(c->claims, "role"))
        return true;
    if (!json_get_text(c->claims, "role", &role, err))
        return false;
    if (!role_named(role, &may))
        return fail_with(err, ERR_DENIED, "the token's role is none that this broker knows");
    c->may &= may;
    return true;
}

FALLIBLE administrators_by_token(const struct administrators *administrators, struct bytes token, int64_t now,
                                 struct caller *out, struct err *err)
{
    AUTO(caller) struct caller c = { 0 };

    if (token.len > ADMIN_TOKEN_MAX)
        return fail_with(err, ERR_DENIED, "an administrator's token has at most %d characters", ADMIN_TOKEN_MAX);
    if (!key_find(administrators, token, &c, err) || !life_check(&c, now, err) || !role_narrow(&c, err))
        return false;
    *out = TAKE(c);
    return true;
}

FALLIBLE administrators_by_certificate(const struct administrators *administrators,
                                       const uint8_t fingerprint[static SHA256_LEN], struct caller *out, struct err *err)
{
    for (size_t i = 0; i < administrators->n; i++) {
        const struct administrator *a = &administrators->at[i];

        if (a->has_certificate && memcmp(a->certificate, fingerprint, SHA256_LEN) == 0) {
            *out = (struct caller){ .who = a, .may = a->may };
            return true;
        }
    }
    return fail_with(err, ERR_DENIED, "that certificate is no administrator's");
}

const char *caller_name(const struct caller *caller) { return caller->who ? caller->who->name : "nobody"; }

bool caller_sees(const struct caller *caller, const char *path)
{
    size_t len = strcspn(path, "/");

    if (!caller->who)
        return false;
    for (size_t i = 0; i < caller->who->n_tenants; i++) {
        if (strlen(caller->who->tenants[i]) == len && strncmp(caller->who->tenants[i], path, len) == 0)
            return true;
    }
    return caller->who->all_tenants;
}

FALLIBLE caller_may(const struct caller *caller, enum permission permission, const char *path, struct err *err)
{
    if (!caller->who || !(caller->may & BIT(permission)))
        return fail_with(err, ERR_DENIED, "%.64s may not %s", caller_name(caller), PERMISSIONS[permission]);
    if (!path)
        return caller->who->all_tenants ||
               fail_with(err, ERR_DENIED, "%.64s may not %s of all tenants", caller_name(caller), PERMISSIONS[permission]);
    return path[0] == 0 || caller_sees(caller, path) ||
           fail_with(err, ERR_DENIED, "%.64s may not %s of tenant %.64s", caller_name(caller), PERMISSIONS[permission], path);
}

size_t administrators_n_signers(const struct administrators *administrators) { return administrators->n_signers; }

EVP_PKEY *administrators_signer(const struct administrators *administrators, size_t i, const char **name)
{
    *name = administrators->signers[i].name;
    return administrators->signers[i].key;
}

bool administrators_want_signatures(const struct administrators *administrators) { return administrators->wants_signatures; }
