package example;

import java.util.Map;
import java.util.TreeMap;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.core.annotation.Order;
import org.springframework.http.MediaType;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClient;
import org.springframework.security.oauth2.client.annotation.RegisteredOAuth2AuthorizedClient;
import org.springframework.security.oauth2.client.oidc.web.logout.OidcClientInitiatedLogoutSuccessHandler;
import org.springframework.security.oauth2.client.registration.ClientRegistrationRepository;
import org.springframework.security.oauth2.core.oidc.user.OidcUser;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtValidators;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.RestClient;

/** An app that signs its users in, and an API of its own that reads the access tokens. */
@SpringBootApplication
@RestController
public class App {
    @Value("${APP_URL}")
    private String url;

    public static void main(String[] arguments) {
        SpringApplication.run(App.class, arguments);
    }

    /** The API: an access token of Therap Connect's is an RFC 9068 one, which Spring takes when it is told so. */
    @Bean
    JwtDecoder jwtDecoder(@Value("${ISSUER}") String issuer) {
        NimbusJwtDecoder decoder = NimbusJwtDecoder.withIssuerLocation(issuer).validateType(false).build();
        decoder.setJwtValidator(JwtValidators.createAtJwtValidator()
                .audience(issuer).clientId("portal").issuer(issuer).build());
        return decoder;
    }

    @Bean
    @Order(1)
    SecurityFilterChain api(HttpSecurity http) throws Exception {
        return http.securityMatcher("/api/**")
                .authorizeHttpRequests(requests -> requests.anyRequest().hasAuthority("SCOPE_profile"))
                .oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults()))
                .build();
    }

    @Bean
    @Order(2)
    SecurityFilterChain site(HttpSecurity http, ClientRegistrationRepository clients) throws Exception {
        var logout = new OidcClientInitiatedLogoutSuccessHandler(clients);
        logout.setPostLogoutRedirectUri("{baseUrl}/");
        return http.authorizeHttpRequests(requests -> requests
                        .requestMatchers("/").permitAll().anyRequest().authenticated())
                .csrf(csrf -> csrf.ignoringRequestMatchers("/logout"))
                .oauth2Login(Customizer.withDefaults())
                .logout(out -> out.logoutSuccessHandler(logout))
                .build();
    }

    @GetMapping(path = "/", produces = MediaType.TEXT_HTML_VALUE)
    String index(@AuthenticationPrincipal OidcUser user) {
        return page(user == null
                ? "<a id=\"sign-in\" href=\"/oauth2/authorization/portal\">Sign in</a>"
                : "<p id=\"who\">" + user.getName() + "</p><p id=\"login-name\">" + user.getPreferredUsername() + "</p>"
                        + "<p id=\"provider\">" + user.getClaimAsString("provider_code") + "</p>"
                        + "<a id=\"call\" href=\"/call\">Call the API</a>"
                        + "<form method=\"post\" action=\"/logout\"><button id=\"sign-out\">Sign out</button></form>");
    }

    /** Asks the API with the user's access token. */
    @GetMapping(path = "/call", produces = MediaType.TEXT_HTML_VALUE)
    String call(@RegisteredOAuth2AuthorizedClient("portal") OAuth2AuthorizedClient client) {
        String token = client.getAccessToken().getTokenValue();
        return page("<p id=\"answer\">" + RestClient.create(url).get().uri("/api/me")
                .headers(headers -> headers.setBearerAuth(token)).retrieve().body(String.class) + "</p>");
    }

    @GetMapping("/api/me")
    Map<String, Object> me(@AuthenticationPrincipal Jwt token) {
        return new TreeMap<>(Map.of("sub", token.getSubject(), "client_id", token.getClaimAsString("client_id")));
    }

    private static String page(String body) {
        return "<!doctype html><html lang=\"en\"><title>Spring</title><body>" + body + "</body></html>";
    }
}
