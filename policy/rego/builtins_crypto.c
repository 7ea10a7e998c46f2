#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_CRYPTO(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

static bool give_hex(struct call *c, const uint8_t *at, size_t len, struct value *out)
{
    struct text_out t = text_for(c);

    for (size_t i = 0; i < len; i++)
        text_put(&t, (char[]){ "0123456789abcdef"[at[i] >> 4], "0123456789abcdef"[at[i] & 15] }, 2);
    return text_take(&t, out);
}

static bool digest(struct call *c, const struct value *args, const EVP_MD *md, struct value *out)
{
    uint8_t      hash[EVP_MAX_MD_SIZE];
    unsigned int len;

    if (!want(c, args, 0, VALUE_STRING) || !charge(c, 8 + args[0].len / 16))
        return false;
    if (EVP_Digest(args[0].text, args[0].len, hash, &len, md, NULL) != 1) {
        arena_refuse(c->arena, "a digest failed");
        return false;
    }
    return give_hex(c, hash, len, out);
}

bool builtin_crypto_md5(struct call *c, const struct value *args, struct value *out)
{
    return digest(c, args, EVP_md5(), out);
}

bool builtin_crypto_sha1(struct call *c, const struct value *args, struct value *out)
{
    return digest(c, args, EVP_sha1(), out);
}

bool builtin_crypto_sha256(struct call *c, const struct value *args, struct value *out)
{
    return digest(c, args, EVP_sha256(), out);
}

static bool authenticate(struct call *c, const struct value *args, const EVP_MD *md, struct value *out)
{
    uint8_t      mac[EVP_MAX_MD_SIZE];
    unsigned int len;

    if (!want(c, args, 0, VALUE_STRING) || !want(c, args, 1, VALUE_STRING) || !charge(c, 16 + args[0].len / 16 + args[1].len / 16))
        return false;
    if (!HMAC(md, args[1].len ? args[1].text : "", (int) args[1].len, (const uint8_t *) args[0].text, args[0].len, mac, &len)) {
        arena_refuse(c->arena, "a digest failed");
        return false;
    }
    return give_hex(c, mac, len, out);
}

bool builtin_crypto_hmac_md5(struct call *c, const struct value *args, struct value *out)
{
    return authenticate(c, args, EVP_md5(), out);
}

bool builtin_crypto_hmac_sha1(struct call *c, const struct value *args, struct value *out)
{
    return authenticate(c, args, EVP_sha1(), out);
}

bool builtin_crypto_hmac_sha256(struct call *c, const struct value *args, struct value *out)
{
    return authenticate(c, args, EVP_sha256(), out);
}

bool builtin_crypto_hmac_sha512(struct call *c, const struct value *args, struct value *out)
{
    return authenticate(c, args, EVP_sha512(), out);
}

bool builtin_crypto_hmac_equal(struct call *c, const struct value *args, struct value *out)
{
    if (!want(c, args, 0, VALUE_STRING) || !want(c, args, 1, VALUE_STRING) || !charge_bytes(c, args[0].len))
        return false;
    return give(out, value_bool(args[0].len == args[1].len && CRYPTO_memcmp(args[0].text, args[1].text, args[0].len) == 0));
}

/* What was given for this key before in the evaluation: it must not change. */
static struct value *remembered(struct call *c, struct value key)
{
    struct evaluation *e = c->evaluation;

    if (!value_is_defined(e->seeds))
        e->seeds = value_new(c->arena, VALUE_OBJECT, 0);
    if (!value_is_defined(e->seeds))
        return NULL;

    struct value *found = collection_find(e->seeds.in, key);
    if (found)
        return &found[1];
    if (!object_put(c->arena, e->seeds, key, value_undefined()))
        return NULL;
    found = collection_find(e->seeds.in, key);
    return found ? &found[1] : NULL;
}

static bool random_into(struct call *c, void *to, size_t len)
{
    if (getrandom(to, len, 0) == (ssize_t) len)
        return true;
    arena_refuse(c->arena, "no randomness");
    return false;
}

bool builtin_rand_intn(struct call *c, const struct value *args, struct value *out)
{
    struct value  key = value_new(c->arena, VALUE_ARRAY, 2), *known;
    int64_t       n;
    uint64_t      random;

    if (!want(c, args, 0, VALUE_STRING) || !want_int(c, args, 1, &n))
        return false;
    if (n == 0 || n == INT64_MIN)
        return give(out, value_int(0));
    n = n < 0 ? -n : n;
    if (!value_is_defined(key) || !array_append(c->arena, key, args[0]) || !array_append(c->arena, key, value_int(n)) ||
        !value_close(c->arena, key))
        return false;
    known = remembered(c, key);
    if (!known)
        return false;
    if (!value_is_defined(*known)) {
        if (!random_into(c, &random, sizeof random))
            return false;
        *known = value_int((int64_t) (random % (uint64_t) n));
    }
    return give(out, *known);
}

bool builtin_uuid_rfc4122(struct call *c, const struct value *args, struct value *out)
{
    struct value   *known;
    struct text_out t = text_for(c);
    uint8_t         id[16];

    if (!want(c, args, 0, VALUE_STRING))
        return false;
    known = remembered(c, args[0]);
    if (!known)
        return false;
    if (value_is_defined(*known))
        return give(out, *known);
    if (!random_into(c, id, sizeof id))
        return false;
    id[6] = (uint8_t) ((id[6] & 0x0f) | 0x40);
    id[8] = (uint8_t) ((id[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof id; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text_put_char(&t, '-');
        text_put(&t, (char[]){ "0123456789abcdef"[id[i] >> 4], "0123456789abcdef"[id[i] & 15] }, 2);
    }
    if (!text_take(&t, known))
        return false;
    return give(out, *known);
}

static int hex_digit(char ch)
{
    return ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
}

/* xxxxxxxx-xxxx-…, the same in braces (or, as in Go, any two characters) or behind urn:uuid:, or 32 digits */
static bool read_uuid(struct value text, uint8_t id[static 16])
{
    const char *at  = text.text;
    size_t      len = text.len, n = 0;

    if (len == 45 && strncasecmp(at, "urn:uuid:", 9) == 0) {
        at += 9;
        len -= 9;
    } else if (len == 38) {
        at++;
        len -= 2;
    }
    if (len != 36 && len != 32)
        return false;
    for (size_t i = 0; i < len; n++) {
        if (len == 36 && (i == 8 || i == 13 || i == 18 || i == 23)) {
            if (at[i] != '-')
                return false;
            i++;
        }
        if (n >= 16 || i + 1 >= len || hex_digit(at[i]) < 0 || hex_digit(at[i + 1]) < 0)
            return false;
        id[n] = (uint8_t) (hex_digit(at[i]) << 4 | hex_digit(at[i + 1]));
        i += 2;
    }
    return n == 16;
}

static const char *variant_of(const uint8_t id[static 16])
{
    if ((id[8] & 0xc0) == 0x80)
        return "RFC4122";
    if ((id[8] & 0xe0) == 0xc0)
        return "Microsoft";
    return (id[8] & 0xe0) == 0xe0 ? "Future" : "Reserved";
}

static bool put_member(struct call *c, struct value to, const char *name, struct value v)
{
    return object_put(c->arena, to, value_of_text(name), v);
}

/* Versions 1 and 2 tell when and where they were made. */
static bool put_origin(struct call *c, const uint8_t id[static 16], struct value to)
{
    struct text_out node = text_for(c);
    struct value    node_text;
    uint64_t        ticks = (uint64_t) (id[6] & 15) << 56 | (uint64_t) id[7] << 48 | (uint64_t) id[4] << 40 | (uint64_t) id[5] << 32 |
                     (uint64_t) id[0] << 24 | (uint64_t) id[1] << 16 | (uint64_t) id[2] << 8 | id[3];
    const char *mac = id[10] & 1 ? (id[10] & 2 ? "local:multicast" : "global:multicast") : (id[10] & 2 ? "local:unicast" : "global:unicast");

    for (size_t i = 10; i < 16; i++) {
        if (i > 10)
            text_put_char(&node, '-');
        text_put(&node, (char[]){ "0123456789abcdef"[id[i] >> 4], "0123456789abcdef"[id[i] & 15] }, 2);
    }
    return text_take(&node, &node_text) && put_member(c, to, "nodeid", node_text) && put_member(c, to, "macvariables", value_of_text(mac)) &&
           put_member(c, to, "clocksequence", value_int((id[8] & 0x3f) << 8 | id[9])) &&
           put_member(c, to, "time", value_int(((int64_t) ticks - INT64_C(122192928000000000)) * 100));
}

bool builtin_uuid_parse(struct call *c, const struct value *args, struct value *out)
{
    static const char *const domains[] = { "Person", "Group", "Org" };
    uint8_t                  id[16];
    int                      version;

    if (!want(c, args, 0, VALUE_STRING))
        return false;
    if (!read_uuid(args[0], id))
        return give(out, value_undefined());
    version = id[6] >> 4;
    if (!give_new(c, VALUE_OBJECT, 0, out) || !put_member(c, *out, "version", value_int(version)) ||
        !put_member(c, *out, "variant", value_of_text(variant_of(id))))
        return false;
    if (version != 1 && version != 2)
        return true;
    if (version == 2 && (!put_member(c, *out, "id", value_int((int64_t) id[0] << 24 | id[1] << 16 | id[2] << 8 | id[3])) ||
                         !put_member(c, *out, "domain", value_of_text(id[9] < 3 ? domains[id[9]] : "Domain"))))
        return false;
    return put_origin(c, id, *out);
}
