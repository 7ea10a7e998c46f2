/*
 * An image made on the fly of a root file system that an engine has unpacked: one layer, as a tar archive, in a layout
 * of its own. It lets unencrypted images run in a VM. It is NOT confidential: the host has all of it, and chose it.
 */
#pragma once

#include "runtime/oci/layout.h"

struct packed_root_options {
    const char        *root;      /* the folder that becomes the image */
    const char        *layout;    /* where the layout is made */
    const char        *user, *cwd; /* "UID:GID", and the working directory */
};

/*
 *   manifest    gets its digest
 *
 * Fails OS; LIMIT over 16 GiB.
 */
FALLIBLE packed_root_make(const struct packed_root_options *options, char manifest[static LAYOUT_DIGEST_LEN], struct err *err);
