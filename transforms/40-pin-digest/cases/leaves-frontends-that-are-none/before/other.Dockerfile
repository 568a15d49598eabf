# syntax={{ frontend }}
FROM scratch
