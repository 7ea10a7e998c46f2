/* Every bound that the bytes of an image can push against here, with its unit and its reason. */
#pragma once

enum {
    OCI_DOCUMENT_MAX     = 4 << 20,  /* bytes of a manifest, index or config; registries refuse larger manifests */
    OCI_LAYERS_MAX       = 256,      /* layers of one image; Docker stops at 127 */
    OCI_INDEX_MAX        = 1024,     /* manifests of one index */
    OCI_CONFIG_LIST_MAX  = 4096,     /* members of Env, Entrypoint or Cmd */
    OCI_BLOB_MIB_MAX     = 1 << 20,  /* MiB of one blob: far above any, and no sum of them wraps */
    BLOCK_LAYER_MIB_MAX  = 1 << 18,  /* MiB of one layer that is mounted: a quarter of a TiB, and a tree of 2 GiB */
    ENC_ANNOTATION_MAX   = 64 << 10, /* bytes of one encryption annotation; genuine ones are below 1 KiB */
    ENC_RECIPIENTS_MAX   = 16,       /* packets in one annotation: each may cost a request to the broker */
    ENC_PRIVATE_MAX      = 4096,     /* bytes of a layer's private options; genuine ones are about 220 */
    ENC_KID_MAX          = 512,      /* characters of a key id */
    ENC_KEY_LEN          = 32,       /* AES-256, for layers and for key encryption keys */
    ENC_NONCE_LEN        = 16,       /* the whole initial counter block */
    ENC_HMAC_LEN         = 32,
    KEYPROVIDER_INPUT_MAX = 1 << 20  /* bytes of a request on standard input */
};
