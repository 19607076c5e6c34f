"""Read and describe messages: envelopes, signatures, identities, selectors, edits; one by one and in bulk."""
