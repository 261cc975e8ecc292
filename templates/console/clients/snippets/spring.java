@Bean
JwtDecoder jwtDecoder() {
    String issuer = {{ is.issuer }};
    NimbusJwtDecoder decoder = NimbusJwtDecoder.withIssuerLocation(issuer).validateType(false).build();
    decoder.setJwtValidator(JwtValidators.createAtJwtValidator()
            .audience({{ is.resource }}).clientId("the client_id of the app that calls").issuer(issuer).build());
    return decoder;
}
