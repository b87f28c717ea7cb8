using System.Text.Json;

namespace Glm.Cli.Tests;

public sealed class ConvertTests(TinyModel model) : IClassFixture<TinyModel>
{
    [Theory]
    [InlineData("int8")]
    [InlineData("int4")]
    public void A_saved_quantised_model_computes_what_one_quantised_on_the_fly_does(string type)
    {
        using var folder = new TemporaryFolder();
        CommandRun.Of("convert", model.Path, folder["small"], "--quantize", type, "--quiet").Success();
        var info = CommandRun.Of("info", folder["small"], "--json").Json();
        Assert.Equal(8, info.GetProperty("stored").GetProperty(type).GetProperty("tensors").GetInt32());
        string text = folder.Write("a.txt", TinyText.Document(5));
        double Bits(params string[] options) =>
            CommandRun.Of(["eval", "--tasks", "bits-per-byte", "--data", text, "--json", "--quiet", .. options]).Json().GetProperty("metrics").GetProperty("bits_per_byte").GetDouble();
        Assert.Equal(Bits("--model", model.Path, "--precision", type), Bits("--model", folder["small"]));
        CommandRun.Of("generate", "--model", folder["small"], "--max-new-tokens", "3", "The [MASK] sea").Success();
    }

    [Fact]
    public void A_quantised_model_is_not_quantised_again_and_other_folders_are_left_alone()
    {
        using var folder = new TemporaryFolder();
        CommandRun.Of("convert", model.Path, folder["small"], "--quantize", "int8", "--quiet").Success();
        CommandRun.Of("convert", folder["small"], folder["smaller"], "--quantize", "int4", "--quiet").Reason();
        Assert.False(Directory.Exists(folder["smaller"]));
        folder.Write("mine/diary.txt", "private");
        Assert.Contains("diary.txt", CommandRun.Of("convert", model.Path, folder["mine"], "--quantize", "int8", "--quiet").Reason());
    }

    [Fact]
    public void Info_reads_what_is_stored()
    {
        JsonElement info = CommandRun.Of("info", model.Path, "--json").Json();
        long parameters = info.GetProperty("parameters").GetInt64();
        Assert.Equal(4 * parameters, info.GetProperty("bytes").GetInt64());
        Assert.Equal(TinyText.VocabularySize, info.GetProperty("tokenizer").GetProperty("size").GetInt32());
        Assert.Contains("float32", CommandRun.Of("info", model.Path).Success());
    }
}
