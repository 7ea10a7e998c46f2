/*
 * Cloister's runtime handlers in containerd's configuration: put in as lines of text between marks, and taken out
 * again so that the file is byte for byte what it was. Not a TOML writer: containerd itself is asked whether the
 * result is good. [containerd docs/man/containerd-config.toml.5, versions 2 and 3]
 *
 * One file is edited, and no drop-in is written: before 2.0 an imported file replaces a plugin's whole section.
 */
#pragma once

#include "base/bytes.h"

#define HANDLER             "cloister"
#define HANDLER_DEVELOPMENT "cloister-development"
#define SNAPSHOTTER_NAME    "cloister"

enum { CONTAINERD_CONFIG_MAX = 1 << 20 };

struct containerd_choice {
    unsigned    major, minor;     /* of containerd */
    const char *shim, *settings, *development_settings, *snapshotter_socket; /* absolute paths without quotes */
    const char *development_shim; /* another name of it, by which it finds its settings: for version 3 */
};

/*
 *   present   the file, or empty when there is none
 *   out       appended
 *
 * Fails UNSUPPORTED for a configuration of version 1, and of version 2 under containerd 2; CONFIG when it is Cloister's already, or names such a handler.
 */
FALLIBLE containerd_config_add(struct bytes present, const struct containerd_choice *choice, struct buffer *out,
                               struct err *err);

/* Appends the text without what containerd_config_add put in; false when there was nothing of it. */
bool containerd_config_remove(struct bytes present, struct buffer *out);

/* The version from what `containerd --version` prints. Fails MALFORMED. */
FALLIBLE containerd_version_read(const char *text, unsigned *major, unsigned *minor, struct err *err);
