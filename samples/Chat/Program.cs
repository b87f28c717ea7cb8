// Talks with a chat model through the interfaces of Microsoft.Extensions.AI, which know nothing of Glm: Chat PATH
using Glm;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

if (args.Length != 1)
{
    Console.Error.WriteLine("usage: Chat PATH-OF-A-CHAT-MODEL");
    return 2;
}
await using var services = new ServiceCollection().AddGlm(args[0]).BuildServiceProvider();
var client = services.GetRequiredService<IChatClient>();
var messages = new List<ChatMessage>();
for (Console.Write("> "); Console.ReadLine() is { } line; Console.Write("\n> "))
{
    messages.Add(new ChatMessage(ChatRole.User, line));
    var updates = new List<ChatResponseUpdate>();
    await foreach (var update in client.GetStreamingResponseAsync(messages))
    {
        Console.Write(update.Text);
        updates.Add(update);
    }
    messages.AddMessages(updates);
}
return 0;
