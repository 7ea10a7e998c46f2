#include "keys/ocicrypt/digest.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const struct algorithm {
    const char *name;
    size_t      len;
    const EVP_MD *(*md)(void);
} algorithms[] = {
    [DIGEST_SHA256] = { "sha256", SHA256_LEN, EVP_sha256 },
    [DIGEST_SHA512] = { "sha512", SHA512_LEN, EVP_sha512 },
};

enum { N_ALGORITHMS = sizeof algorithms / sizeof *algorithms };

FALLIBLE digest_read(struct bytes text, struct digest *out, struct err *err)
{
    for (unsigned a = 0; a < N_ALGORITHMS; a++) {
        const struct algorithm *known    = &algorithms[a];
        size_t                  name_len = strlen(known->name);
        struct digest           d        = { .algorithm = (enum digest_algorithm) a };
        AUTO(buffer) struct buffer value = { 0 };

        if (text.len <= name_len || memcmp(text.at, known->name, name_len) != 0 || text.at[name_len] != ':')
            continue;
        struct bytes hex = { text.at + name_len + 1, text.len - name_len - 1 };

        if (hex.len != 2 * known->len)
            return fail_with(err, ERR_MALFORMED, "digest: %zu hex digits wanted behind %s:, found %zu", 2 * known->len,
                             known->name, hex.len);
        for (size_t i = 0; i < hex.len; i++)
            if (hex.at[i] >= 'A' && hex.at[i] <= 'F')
                return fail_with(err, ERR_MALFORMED, "digest: an upper-case hex digit");
        if (!hex_read(hex, &value, err))
            return context(err, "digest");
        memcpy(d.value, value.at, known->len);
        *out = d;
        return true;
    }
    AUTO(buffer) struct buffer shown = { 0 };

    printable_append(&shown, text, 40);
    return fail_with(err, memchr(text.at ? text.at : (const uint8_t *) "", ':', text.len) ? ERR_UNSUPPORTED : ERR_MALFORMED,
                     "digest: sha256:… or sha512:… wanted, found \"%s\"", buffer_text(&shown));
}

struct digest_text digest_text(const struct digest *digest)
{
    const struct algorithm    *known = &algorithms[digest->algorithm];
    struct digest_text         text  = { "" };
    AUTO(buffer) struct buffer built = { 0 };

    buffer_printf(&built, "%s:", known->name);
    hex_append(&built, (struct bytes){ digest->value, known->len });
    memcpy(text.at, built.at, built.len);
    return text;
}

const char *digest_hex(const struct digest_text *text)
{
    const char *colon = strchr(text->at, ':');

    return colon ? colon + 1 : text->at;
}

const char *digest_algorithm_name(enum digest_algorithm algorithm)
{
    return algorithms[algorithm].name;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return a->algorithm == b->algorithm && CRYPTO_memcmp(a->value, b->value, algorithms[a->algorithm].len) == 0;
}

void digest_of(struct bytes b, enum digest_algorithm algorithm, struct digest *out)
{
    *out = (struct digest){ .algorithm = algorithm };
    if (algorithm == DIGEST_SHA256)
        sha256_of(b, out->value);
    else
        sha512_of(b, out->value);
}

void digest_run_begin(struct digest_run *run, enum digest_algorithm algorithm)
{
    run->algorithm = algorithm;
    if (!run->ctx)
        run->ctx = EVP_MD_CTX_new();
    if (!run->ctx || EVP_DigestInit_ex2(run->ctx, algorithms[algorithm].md(), NULL) != 1)
        abort();
}

void digest_run_update(struct digest_run *run, struct bytes more)
{
    if (EVP_DigestUpdate(run->ctx, more.at, more.len) != 1)
        abort();
}

void digest_run_end(struct digest_run *run, struct digest *out)
{
    *out = (struct digest){ .algorithm = run->algorithm };
    if (EVP_DigestFinal_ex(run->ctx, out->value, NULL) != 1)
        abort();
}
