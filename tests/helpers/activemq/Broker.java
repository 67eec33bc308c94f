import java.util.Map;
import java.util.Set;
import org.apache.activemq.broker.BrokerPlugin;
import org.apache.activemq.broker.BrokerService;
import org.apache.activemq.security.SimpleAuthenticationPlugin;

/** An ActiveMQ with a STOMP port and one user: PORT FOLDER USER PASSWORD. */
public class Broker {
    public static void main(String[] arguments) throws Exception {
        SimpleAuthenticationPlugin users = new SimpleAuthenticationPlugin();
        users.setUserPasswords(Map.of(arguments[2], arguments[3]));
        users.setUserGroups(Map.of(arguments[2], Set.of()));
        BrokerService broker = new BrokerService();
        broker.setBrokerName("tests");
        broker.setDataDirectory(arguments[1]);
        broker.setUseJmx(false);
        broker.setPlugins(new BrokerPlugin[] {users});
        broker.addConnector("stomp://127.0.0.1:" + arguments[0]);
        broker.start();
        broker.waitUntilStopped();
    }
}
