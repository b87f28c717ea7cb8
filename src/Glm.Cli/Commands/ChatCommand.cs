using System.CommandLine;
using Glm.Inference;
using Glm.Models;
using Glm.Tokenizers;

namespace Glm.Cli.Commands;

/// <summary><c>glm chat</c>: a conversation with a chat model; every line of the input is a message.</summary>
internal static class ChatCommand
{
    private const string Help = "/system TEXT gives instructions and begins anew; /reset begins anew; /help shows this; /exit, or the end of the input, leaves. Ctrl-C stops an answer.";

    public static Command Create(Terminal terminal)
    {
        var model = Options.Model();
        var system = new Option<string>("--system") { HelpName = "TEXT", Description = "Instructions to the model" };
        var sampling = new SamplingOptionSet(chat: true);
        var kvCache = Options.KvCache();
        var adapter = Options.Adapter();
        var memory = Options.Memory();
        var threads = Options.Threads();
        var quiet = Options.Quiet();
        var command = new ExampleCommand("chat", "Talk with a chat model (ChatGLM, ChatGLM2, ChatGLM3, GLM-4)",
            "glm chat --model chatglm3-6b", "glm chat --model chatglm3-6b-q4_0.gguf --system \"Answer briefly.\"", "echo 你好 | glm chat --model chatglm3-6b --seed 7 --quiet")
        {
            model, system, adapter, kvCache, memory, threads, quiet,
        };
        sampling.AddTo(command);
        return command.Does((parse, cancellation) =>
        {
            string path = ModelLocation.OrShipped(parse.GetValue(model));
            var template = ChatTemplate.Of(VocabularyLocation.Open(path)); // before the weights: a model that cannot chat says so at once
            var defaults = ChatDefaults.Of(template.Tokenizer.Kind, GenerationConfig.Find(path));
            var options = sampling.Read(parse, defaults.Options);
            bool isQuiet = parse.GetValue(quiet);
            using var loaded = Opening.Load(terminal, path, parse.GetValue(threads), parse.GetValue(memory), Options.CacheType(parse.GetValue(kvCache)), quiet: isQuiet, adapter: parse.GetValue(adapter), cancellation: cancellation);
            var conversation = new ChatConversation(loaded.NewSession(), template, defaults);
            string? instructions = parse.GetValue(system);
            conversation.Reset(instructions);
            if (terminal.Interactive) terminal.Error.WriteLine($"{template.Tokenizer.Kind}: a line is a message; /help shows what else there is.");
            new Chat(terminal, conversation, options, isQuiet).Run(cancellation);
        });
    }

    private sealed class Chat(Terminal terminal, ChatConversation conversation, FillOptions options, bool quiet)
    {
        public void Run(CancellationToken cancellation)
        {
            while (true)
            {
                if (terminal.Interactive) terminal.Error.Write("> ");
                string? line;
                try
                {
                    line = terminal.ReadLine(cancellation);
                }
                catch (OperationCanceledException)
                {
                    terminal.Error.WriteLine();
                    throw;
                }
                if (line is null && terminal.Interactive) terminal.Error.WriteLine();
                if (line is null || line.Trim() == "/exit") return;
                if (string.IsNullOrWhiteSpace(line)) continue;
                try
                {
                    if (!Obey(line.Trim())) Answer(line, cancellation);
                }
                catch (GlmException error) when (terminal.Interactive) // of this message; the next may be better
                {
                    terminal.Error.WriteLine($"glm: {error.Message}");
                }
            }
        }

        /// <summary>Does what a line with a command says; false for a message.</summary>
        private bool Obey(string line)
        {
            string[] words = line.Split(' ', 2, StringSplitOptions.TrimEntries);
            switch (words[0])
            {
                case "/help":
                    terminal.Error.WriteLine(Help);
                    return true;
                case "/reset":
                    conversation.Reset(conversation.Messages is [{ Role: ChatRole.System } system, ..] ? system.Content : null);
                    return true;
                case "/system":
                    conversation.Reset(words.Length > 1 && words[1].Length > 0 ? words[1] : null);
                    return true;
                default:
                    return false;
            }
        }

        private void Answer(string line, CancellationToken cancellation)
        {
            using var part = terminal.InterruptiblePart(cancellation);
            var reply = conversation.Answer(new ChatMessage(ChatRole.User, line), options, Write, part.Token);
            terminal.Out.WriteLine();
            terminal.Out.Flush();
            cancellation.ThrowIfCancellationRequested();
            if (reply.Interrupted || part.Token.IsCancellationRequested) terminal.Error.WriteLine("(interrupted)");
            else if (terminal.Interactive && !quiet)
                terminal.Error.WriteLine($"{reply.NewTokens} tokens in {reply.Elapsed.TotalSeconds:F1} s, {reply.PromptTokens} read");
        }

        private void Write(string text)
        {
            terminal.Out.Write(terminal.Screen.Profile.Capabilities.Ansi ? Terminal.Printable(text) : text);
            terminal.Out.Flush();
        }
    }
}
