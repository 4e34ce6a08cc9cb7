"""The wire: neutral requests and responses, and a gate for each HTTP library that the SDKs are built on."""
