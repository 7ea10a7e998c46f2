#include "guest/agent/keeper_state.h"

#include <openssl/x509.h>
#include <string.h>

#include "base/ossl.h"
#include "guest/agent/simulated.h"
#include "keys/api/limits.h"

/* How far a client has counted, and what came and was not its answer. */
struct counted {
    bool     is_broken;
    uint32_t next_stream;
};

/* What is of fixed size. */
struct rested {
    bool     is_fetcher_ready, is_host_full;
    uint8_t  register_value[TPM_HASH_LEN_MAX];
    unsigned n_events, n_events_of_workloads;
    unsigned n_layers_made;
    size_t   n_images;
};

static void put_part(struct buffer *out, struct bytes part)
{
    struct writer w = writer_over(buffer_grow(out, sizeof(uint64_t)), sizeof(uint64_t));

    put_u64le(&w, part.len);
    buffer_append(out, part);
}

static struct bytes take_part(struct reader *r)
{
    return take(r, take_u64le(r));
}

/* One of exactly this size; else the reader fails. */
static void take_struct(struct reader *r, void *into, size_t size)
{
    struct bytes part = take_part(r);

    if (part.len == size)
        memcpy(into, part.at, size);
    else
        r->failed = true;
}

static void take_buffer(struct reader *r, struct buffer *into)
{
    buffer_append(into, take_part(r));
}

#define STRUCT(s) ((struct bytes){ (const uint8_t *) &(s), sizeof(s) })

static void put_client(struct buffer *out, const struct ttrpc_client *client)
{
    struct counted counted = { 0 };

    counted.is_broken   = client->is_broken;
    counted.next_stream = client->next_stream;
    put_part(out, STRUCT(counted));
    put_part(out, buffer_bytes(&client->input));
}

static void take_client(struct reader *r, struct ttrpc_client *into)
{
    struct counted counted = { 0 };

    take_struct(r, &counted, sizeof counted);
    into->is_broken   = counted.is_broken;
    into->next_stream = counted.next_stream;
    take_buffer(r, &into->input);
}

/* Those that are there: which, does not change while the guest runs. */
static size_t clients(struct keeper *k, struct ttrpc_client *out[4])
{
    size_t n = 0;

    out[n++] = &k->blobs;
    out[n++] = &k->fetcher;
    if (k->volumes.opener_fd >= 0)
        out[n++] = &k->volumes.opener;
    if (k->fds->tee == CMDLINE_TEE_SIM)
        out[n++] = simulated_client(k->attester);
    return n;
}

static FALLIBLE put_session(struct buffer *out, const struct kbs_client *client, struct err *err)
{
    AUTO(buffer) struct buffer session = { 0 };
    bool                       ok      = kbs_session_write(client, &session, err);

    put_part(out, buffer_bytes(&session));
    OPENSSL_cleanse(session.at, session.len);
    return ok;
}

static FALLIBLE put_key(struct buffer *out, EVP_PKEY *key, struct err *err)
{
    unsigned char *der = NULL;
    int            len = key ? i2d_PrivateKey(key, &der) : 0;

    if (len < 0)
        return err_openssl(err, ERR_OS, "write the key of receipts");
    put_part(out, (struct bytes){ der, (size_t) len });
    OPENSSL_clear_free(der, (size_t) len);
    return true;
}

static void put_images(struct buffer *out, const struct shared_images *images)
{
    put_part(out, (struct bytes){ (const uint8_t *) images->layers.layers, images->layers.n * sizeof *images->layers.layers });
    for (size_t i = 0; i < images->n; i++) {
        struct shared_image image = images->at[i];

        image.config = (struct buffer){ 0 };
        put_part(out, STRUCT(image));
        put_part(out, buffer_bytes(&images->at[i].config));
    }
}

static void take_images(struct reader *r, size_t n, struct shared_images *into)
{
    struct bytes  layers = take_part(r);
    struct buffer copy   = { 0 };

    buffer_append(&copy, layers);
    into->layers.layers = (struct stored_layer *) (void *) copy.at; /* of malloc: aligned for all */
    into->layers.n      = layers.len / sizeof *into->layers.layers;
    r->failed           = r->failed || layers.len % sizeof *into->layers.layers != 0 || n > SHARED_IMAGES_MAX;
    while (!r->failed && into->n < n) {
        struct shared_image *image = &into->at[into->n++];

        take_struct(r, image, sizeof *image);
        image->config = (struct buffer){ 0 };
        take_buffer(r, &image->config);
    }
}

FALLIBLE keeper_state_write(struct keeper *k, struct buffer *out, struct err *err)
{
    struct ttrpc_client *peers[4];
    struct rested        rested  = { 0 };
    size_t               n_peers = clients(k, peers);

    rested.is_fetcher_ready      = k->is_fetcher_ready;
    rested.is_host_full          = k->is_host_full;
    rested.n_events              = k->measured.n;
    rested.n_events_of_workloads = k->measured.n_of_workloads;
    rested.n_layers_made         = k->images.layers.n_made;
    rested.n_images              = k->images.n;
    memcpy(rested.register_value, k->measured.value, sizeof rested.register_value);
    put_part(out, STRUCT(rested));
    put_part(out, buffer_bytes(&k->initdata_text));
    put_part(out, buffer_bytes(&k->measured.log));
    put_part(out, (struct bytes){ (const uint8_t *) k->volumes.open, k->volumes.n * sizeof *k->volumes.open });
    put_images(out, &k->images);
    for (size_t i = 0; i < n_peers; i++)
        put_client(out, peers[i]);
    return put_key(out, k->receipt_key, err) && put_session(out, k->client, err) && put_session(out, k->for_workloads, err);
}

bool keeper_state_is_short(struct keeper *k)
{
    enum { OF_THE_REST = 1 << 20 }; /* tokens and keys of two sessions, lengths of parts */
    struct ttrpc_client *peers[4];
    size_t               n_peers = clients(k, peers);
    size_t               len     = k->initdata_text.len + k->measured.log.len + k->images.layers.n * sizeof *k->images.layers.layers;

    _Static_assert((size_t) OF_THE_REST > 2 * KBS_TOKEN_MAX + sizeof k->volumes.open, "room for them");
    for (size_t i = 0; i < n_peers; i++)
        len += peers[i]->input.len;
    for (size_t i = 0; i < k->images.n; i++)
        len += sizeof k->images.at[i] + k->images.at[i].config.len;
    return len <= RESTING_HELD_MAX - OF_THE_REST;
}

static void take_volumes(struct reader *r, struct keeper_volumes *into)
{
    struct bytes open = take_part(r);

    into->n = open.len / sizeof *into->open;
    if (open.len % sizeof *into->open != 0 || into->n > VOLUME_DISKS_MAX) {
        into->n   = 0;
        r->failed = true;
    } else if (open.len > 0) {
        memcpy(into->open, open.at, open.len);
    }
}

static void take_key(struct reader *r, EVP_PKEY **into)
{
    struct bytes         der = take_part(r);
    const unsigned char *at  = der.at;

    *into     = der.len > 0 ? d2i_AutoPrivateKey(NULL, &at, (long) der.len) : NULL;
    r->failed = r->failed || (der.len > 0 && !*into);
}

FALLIBLE keeper_state_read(struct bytes from, struct keeper *k, struct keeper_sessions *sessions, struct err *err)
{
    struct reader        r      = reader_over(from);
    struct rested        rested = { 0 };
    struct ttrpc_client *peers[4];
    size_t               n_peers = clients(k, peers);

    take_struct(&r, &rested, sizeof rested);
    k->is_fetcher_ready        = rested.is_fetcher_ready;
    k->is_host_full            = rested.is_host_full;
    k->measured.n              = rested.n_events;
    k->measured.n_of_workloads = rested.n_events_of_workloads;
    k->images.layers.n_made    = rested.n_layers_made;
    memcpy(k->measured.value, rested.register_value, sizeof rested.register_value);
    take_buffer(&r, &k->initdata_text);
    take_buffer(&r, &k->measured.log);
    take_volumes(&r, &k->volumes);
    take_images(&r, rested.n_images, &k->images);
    for (size_t i = 0; i < n_peers; i++)
        take_client(&r, peers[i]);
    take_key(&r, &k->receipt_key);
    *sessions = (struct keeper_sessions){ 0 };
    sessions->of_images    = take_part(&r);
    sessions->of_workloads = take_part(&r);
    return reader_done(&r, err) || context(err, "what was held");
}
