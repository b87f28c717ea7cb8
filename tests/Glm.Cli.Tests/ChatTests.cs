using Glm.Tests;

namespace Glm.Cli.Tests;

public sealed class ChatTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _model;

    public ChatTests() => File.WriteAllBytes(_model = _folder["chat.gguf"], new TinyGguf { WithVocabulary = true, Changed = ("chatglm.context_length", 256u) }.ToArray());

    public void Dispose() => _folder.Dispose();

    private CommandRun Chat(string input, params string[] arguments) => CommandRun.WithInput(input, ["chat", "--model", _model, "--max-new-tokens", "24", "--quiet", .. arguments]);

    [Fact]
    public void Every_line_of_a_pipe_is_answered_and_nothing_else_is_printed()
    {
        var run = Chat("Hello\n\n你好\n", "--strategy", "greedy");
        Assert.NotEqual("", run.Success());
        Assert.Equal("", run.Error);
        Assert.StartsWith(Chat("Hello\n", "--strategy", "greedy").Success(), run.Out);
    }

    [Fact]
    public void The_same_seed_gives_the_same_answer()
    {
        string first = Chat("Hello\n", "--seed", "5").Success();
        Assert.Equal(first, Chat("Hello\n", "--seed", "5").Success());
        Assert.NotEqual(first, Chat("Hello\n", "--seed", "6").Success());
    }

    [Fact]
    public void Instructions_and_history_change_the_answer_and_resetting_forgets_them()
    {
        string plain = Chat("Hello\n").Success(), system = Chat("Hello\n", "--system", "Be brief.").Success();
        Assert.NotEqual(plain, system);
        Assert.Equal(system, Chat("/system Be brief.\nHello\n").Success());
        Assert.Equal(system + system, Chat("Hello\n/reset\nHello\n", "--system", "Be brief.").Success());
        Assert.Equal(system + plain, Chat("Hello\n/system\nHello\n", "--system", "Be brief.").Success());
        Assert.NotEqual(plain + plain, Chat("Hello\nHello\n").Success());
    }

    [Fact]
    public void A_person_sees_prompts_and_may_leave()
    {
        var run = CommandRun.With("/help\nHi\n/exit\nnever read\n", interactive: true, CancellationToken.None, "chat", "--model", _model, "--max-new-tokens", "3");
        string answer = run.Success();
        Assert.Equal(answer, CommandRun.WithInput("Hi\n", "chat", "--model", _model, "--max-new-tokens", "3").Success());
        Assert.Equal(3, run.Error.Split("> ").Length - 1);
        Assert.Contains("/reset", run.Error);
        Assert.Contains("3 tokens", run.Error);
    }

    [Fact]
    public void A_conversation_that_is_too_long_is_refused()
    {
        Assert.Contains("256", Chat(new string('x', 300) + "\n").Reason());
        var run = CommandRun.With(new string('x', 300) + "\nHi\n", interactive: true, CancellationToken.None, "chat", "--model", _model, "--max-new-tokens", "3");
        Assert.NotEqual("", run.Success());
        Assert.Contains("glm: conversation", run.Error);
    }

    [Fact]
    public void Models_without_a_chat_are_refused()
    {
        using var model = new TinyModel();
        Assert.Contains("chat", CommandRun.WithInput("x\n", "chat", "--model", model.Path).Reason());
        File.WriteAllBytes(_folder["bare.gguf"], new TinyGguf().ToArray());
        Assert.Contains("tokenizer.ggml.tokens", CommandRun.WithInput("x\n", "chat", "--model", _folder["bare.gguf"]).Reason());
        CommandRun.WithInput("x\n", "chat", "--model", _folder["none.gguf"]).Reason();
        Chat("x\n", "--strategy", "beam").Reason(CommandLine.WrongUsage);
    }

    [Fact]
    public void The_vocabulary_of_the_file_encodes_and_decodes()
    {
        string ids = CommandRun.Of("tokenize", "encode", "Hé", "--model", _model).Success();
        Assert.Equal($"259 {3 + 'H'} {3 + 0xC3} {3 + 0xA9}\n", ids);
        Assert.Equal("Hé\n", CommandRun.WithInput(ids, "tokenize", "decode", "-", "--tokenizer", _model).Success());
        int user = TinyGguf.FirstSpecial + 6;
        Assert.Equal($"{TinyGguf.FirstSpecial + 1} {TinyGguf.FirstSpecial + 3} {user}\n", CommandRun.Of("tokenize", "encode", "<|user|>", "--special", "--as-input", "--model", _model).Success());
    }
}
