Redoc.init(
  "/api/v1/openapi.json",
  { hideDownloadButton: true, disableGoogleFont: true, hideSchemaPattern: true, maxDisplayedEnumValues: 8, theme: { typography: { fontFamily: "system-ui, sans-serif" } } },
  document.getElementById("redoc"),
);
