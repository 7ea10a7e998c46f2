#include "guest/registry/pull.h"

#include <string.h>

static const struct ttrpc_method configure_method = { &fetcher_service, "Configure" };
static const struct ttrpc_method open_method      = { &fetcher_service, "Open" };
static const struct ttrpc_method expect_method    = { &fetcher_service, "Expect" };
static const struct ttrpc_method read_method      = { &fetcher_service, "Read" };

/* protobuf-c's fields are not const; they are written to the wire only. */
static char *text_field(const char *text)
{
    static char none[] = "";

    return text ? (char *) (uintptr_t) text : none;
}

static ProtobufCBinaryData bytes_field(struct bytes b)
{
    return (ProtobufCBinaryData){ b.len, (uint8_t *) (uintptr_t) b.at };
}

FALLIBLE pull_configure(struct ttrpc_client *fetcher, const struct pull_config *config, struct err *err)
{
    Fetcher__ConfigureRequest       request  = FETCHER__CONFIGURE_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *response = NULL;

    request.registries  = bytes_field(config->registries);
    request.credentials = bytes_field(config->credentials);
    request.ca_pem      = bytes_field(config->ca_pem);
    request.https_proxy = text_field(config->https_proxy);
    request.http_proxy  = text_field(config->http_proxy);
    request.no_proxy    = text_field(config->no_proxy);
    request.parallel    = config->parallel;
    request.backoff_ms  = config->backoff_ms;
    request.patience_s  = config->patience_s;
    return ttrpc_call(fetcher, &configure_method, &request.base, PULL_TIMEOUT_MS, &response, err);
}

FALLIBLE pull_open(struct ttrpc_client *fetcher, const char *name, struct pull *out, struct err *err)
{
    Fetcher__OpenRequest            request  = FETCHER__OPEN_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *response = NULL;

    request.name = text_field(name);
    if (!ttrpc_call(fetcher, &open_method, &request.base, PULL_TIMEOUT_MS, &response, err))
        return false;
    const Fetcher__OpenResponse *answer = (const Fetcher__OpenResponse *) response;

    if (answer->n_origins == 0 || answer->n_origins > ATTEMPTS_MAX)
        return fail_with(err, ERR_MALFORMED, "the fetcher names %zu places", answer->n_origins);
    *out = (struct pull){ .fetcher = fetcher, .n_origins = answer->n_origins };
    for (size_t i = 0; i < answer->n_origins; i++) {
        out->origins[i] = (struct pull_origin){ out, (uint32_t) i, strdup(answer->origins[i]) };
        if (!out->origins[i].name)
            abort();
    }
    return true;
}

void pull_close(struct pull *pull)
{
    for (size_t i = 0; i < pull->n_origins; i++)
        free(TAKE(pull->origins[i].name));
    pull->n_origins = 0;
}

static FALLIBLE read_from(struct pull_origin *origin, Fetcher__Kind kind, const char *object, uint64_t offset,
                          uint8_t *into, size_t len, size_t *got, uint64_t *total, struct err *err)
{
    Fetcher__ReadRequest            request  = FETCHER__READ_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *response = NULL;

    request.origin = origin->number;
    request.kind   = kind;
    request.object = text_field(object);
    request.offset = offset;
    request.length = (uint32_t) (len < TRANSFER_LEN_MAX ? len : TRANSFER_LEN_MAX);
    if (!ttrpc_call(origin->pull->fetcher, &read_method, &request.base, PULL_TIMEOUT_MS, &response, err))
        return false;
    const Fetcher__ReadResponse *answer = (const Fetcher__ReadResponse *) response;

    if (answer->data.len > len)
        return fail_with(err, ERR_MALFORMED, "%zu bytes came, %zu were asked for", answer->data.len, len);
    if (answer->data.len > 0)
        memcpy(into, answer->data.data, answer->data.len);
    *got   = answer->data.len;
    *total = answer->size;
    return true;
}

static bool read_blob(void *owner, const char *digest, uint64_t offset, uint8_t *into, size_t len, size_t *got,
                      uint64_t *total, struct err *err)
{
    return read_from(owner, FETCHER__KIND__KIND_BLOB, digest, offset, into, len, got, total, err);
}

static bool read_manifest(void *owner, const char *digest, uint64_t offset, uint8_t *into, size_t len, size_t *got,
                          uint64_t *total, struct err *err)
{
    return read_from(owner, FETCHER__KIND__KIND_MANIFEST, digest, offset, into, len, got, total, err);
}

static void expect(void *owner, const struct manifest *manifest)
{
    pull_expect(owner, manifest);
}

struct image_source pull_source(struct pull_origin *origin)
{
    return (struct image_source){ .read = read_blob, .read_manifest = read_manifest, .expect = expect,
                                  .owner = origin, .name = origin->name };
}

FALLIBLE pull_document(struct pull_origin *origin, Fetcher__Kind kind, const char *object, struct buffer *out,
                       struct err *err)
{
    uint64_t offset = 0, total = 0;

    do {
        uint8_t *into = buffer_grow(out, IMAGE_READ_MAX);
        size_t   got  = 0;
        bool     ok   = read_from(origin, kind, object, offset, into, IMAGE_READ_MAX, &got, &total, err);

        out->len -= IMAGE_READ_MAX - got;
        if (!ok)
            return false;
        offset += got;
        if (total > OCI_DOCUMENT_MAX || offset > total || (got == 0 && offset < total))
            return fail_with(err, ERR_MALFORMED, "a document of %llu bytes, of which %llu came",
                             (unsigned long long) total, (unsigned long long) offset);
    } while (offset < total);
    return true;
}

FALLIBLE pull_resolve(struct pull *pull, const char *tag, struct digest *out, struct err *err)
{
    for (size_t i = 0; i < pull->n_origins; i++) {
        AUTO(buffer) struct buffer document = { 0 };

        if (!pull_document(&pull->origins[i], FETCHER__KIND__KIND_MANIFEST, tag, &document, err))
            continue;
        digest_of(buffer_bytes(&document), DIGEST_SHA256, out);
        return true;
    }
    return false; /* there is one origin at least: `err` is its failure */
}

void pull_expect(struct pull_origin *origin, const struct manifest *manifest)
{
    Fetcher__ExpectRequest          request  = FETCHER__EXPECT_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *response = NULL;
    struct digest_text              texts[OCI_LAYERS_MAX];
    char                           *at[OCI_LAYERS_MAX];
    struct err                      unheard; /* it would only have been faster */

    for (size_t i = 0; i < manifest->n_layers; i++) {
        texts[i] = digest_text(&manifest->layers[i].digest);
        at[i]    = texts[i].at;
    }
    request.origin    = origin->number;
    request.digests   = at;
    request.n_digests = manifest->n_layers;
    (void) !ttrpc_call(origin->pull->fetcher, &expect_method, &request.base, PULL_TIMEOUT_MS, &response, &unheard);
}
