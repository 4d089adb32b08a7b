/* SPDX-License-Identifier: MIT */
/* objects.h - messages as sub --format json writes them */
#ifndef TOOLS_STREAM_OBJECTS_H
#define TOOLS_STREAM_OBJECTS_H

#include "input.h"

/* Send the message that the object in these @n bytes, a line, describes. */
int objects_send(struct input *in, struct stream *s, const unsigned char *line, size_t n);

#endif /* TOOLS_STREAM_OBJECTS_H */
