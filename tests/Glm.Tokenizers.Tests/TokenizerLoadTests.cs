using System.Text;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Glm.Tests;

namespace Glm.Tokenizers.Tests;

/// <summary>Which tokenizer a file is, and what is said of files that are damaged.</summary>
public sealed class TokenizerLoadTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void ATokenizerJsonIsBlooms()
    {
        var tokenizer = TinyBloom.Load(TinyBloom.Json());
        Assert.Equal(VocabularyKind.Bloom, tokenizer.Kind);
        int Id(string piece) => Enumerable.Range(0, tokenizer.VocabularySize).Single(id => tokenizer.PieceText(id) == piece);
        Assert.Equal([Id("Ġthe"), Id("."), Id("Ġ"), Id("ab")], tokenizer.Encode(" the. ab"));
        Assert.Equal([2], tokenizer.EncodeWithSpecial("</s>"));
        Assert.Equal(4, tokenizer.Encode("</s>").Length);
        Assert.Equal("", tokenizer.Decode([0, 1, 2, 3]));
        Assert.Equal("<pad>", tokenizer.PieceText(3));
        Assert.Throws<GlmException>(() => tokenizer.Decode([tokenizer.VocabularySize]));
        Assert.Throws<GlmException>(() => tokenizer.PieceText(-1));
    }

    [Fact]
    public void NewerTokenizerJsonHasMergesAsPairs()
    {
        var json = TinyBloom.Json();
        json["model"]!["merges"] = new JsonArray([.. json["model"]!["merges"]!.AsArray().Select(merge => (JsonNode)new JsonArray([.. merge!.GetValue<string>().Split(' ').Select(part => JsonValue.Create(part))]))]);
        Assert.Equal(TinyBloom.Load(TinyBloom.Json()).Encode("the abab the"), TinyBloom.Load(json).Encode("the abab the"));
    }

    [Theory]
    [InlineData("model.type", "Unigram", "model.type")]
    [InlineData("model.vocab", 7, "vocab")]
    [InlineData("model.vocab.a", -1, "\"a\"")]
    [InlineData("model.vocab.a", 99, "99")]
    [InlineData("model.vocab.a", 2000000000, "\"a\"")]
    [InlineData("model.vocab.a", null, "\"a\"")]
    [InlineData("model.merges", "x", "merges")]
    [InlineData("model.merges.0", "a", "merges[0]")]
    [InlineData("model.merges.0", "a qq", "merges[0]")]
    [InlineData("model.merges.0", 5, "merges[0]")]
    [InlineData("normalizer", "x", "normalizer")]
    [InlineData("pre_tokenizer", null, "pre_tokenizer")]
    [InlineData("pre_tokenizer.pretokenizers.0.pattern.Regex", "x+", "x+")]
    [InlineData("pre_tokenizer.pretokenizers.0.behavior", "Removed", "Removed")]
    [InlineData("pre_tokenizer.pretokenizers.1.add_prefix_space", true, "add_prefix_space")]
    [InlineData("pre_tokenizer.pretokenizers.1.type", "Metaspace", "Metaspace")]
    [InlineData("added_tokens.0.content", 1, "added_tokens[0]")]
    [InlineData("added_tokens.0.id", "1", "added_tokens[0]")]
    public void DamagedTokenizerJsonIsRefused(string path, object? value, string named)
    {
        var json = TinyBloom.Json();
        string[] steps = path.Split('.');
        JsonNode node = json;
        foreach (string step in steps[..^1]) node = int.TryParse(step, out int index) ? node[index]! : node[step]!;
        if (int.TryParse(steps[^1], out int last)) node[last] = JsonValue.Create(value);
        else if (value is null && steps.Length == 1) json.Remove(path);
        else node[steps[^1]] = JsonValue.Create(value);
        string message = Assert.Throws<GlmException>(() => TinyBloom.Load(json)).Message;
        Assert.Contains("tokenizer.json", message);
        Assert.Contains(named, message);
    }

    [Fact]
    public void RanksAreGlm4s()
    {
        var tokenizer = Load("tokenizer.model", Ranks());
        Assert.Equal(VocabularyKind.Glm4, tokenizer.Kind);
        Assert.Equal(256 + 2 + 14, tokenizer.VocabularySize);
        Assert.Equal([256, 'c', 257], tokenizer.Encode("abc the"));
        Assert.Equal(258 + 8, tokenizer.Special.Roles!.Assistant);
        Assert.Equal([258 + 8], tokenizer.EncodeWithSpecial("<|assistant|>"));
        Assert.Equal("abc the", tokenizer.Decode([256, 'c', 257, 258 + 8]));
    }

    [Theory]
    [InlineData("YWI= 256", "YWI= 255", "line 257")]
    [InlineData("YWI= 256", "YWI= x", "line 257")]
    [InlineData("YWI= 256", "Y#I= 256", "line 257")]
    [InlineData("YWI= 256", "YQ== 256", "token 256")]
    [InlineData("YQ== 97", "YXg= 97", "0x61")]
    public void DamagedRanksAreRefused(string old, string changed, string named)
    {
        string message = Assert.Throws<GlmException>(() => Load("tokenizer.model", Ranks().Replace(old, changed, StringComparison.Ordinal))).Message;
        Assert.Contains("tokenizer.model", message);
        Assert.Contains(named, message);
    }

    [Fact]
    public void WordPiecesAreBerts()
    {
        const string pieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##believ\n##able\ncafe\n.\n你\n'\n";
        var tokenizer = Load("vocab.txt", pieces);
        Assert.Equal(VocabularyKind.GlmBert, tokenizer.Kind);
        Assert.Equal([5, 6, 7, 9, 8, 10, 10, 1], tokenizer.Encode("Unbelievable. CAFÉ你你 xyz"));
        Assert.Equal([8, 8, 11], tokenizer.Encode("cafe\u0301\tca\u200bfe'"));
        Assert.Equal([1], tokenizer.Encode("un" + string.Concat(Enumerable.Repeat("able", 25))));
        Assert.Equal(1 + 25, tokenizer.Encode("unable" + string.Concat(Enumerable.Repeat("able", 23)) + " un").Length);
        Assert.Equal("unbelievable. cafe [MASK] [UNK]", tokenizer.Decode([2, 5, 6, 7, 9, 8, 4, 1, 3]));
        Assert.Equal("<|startofpiece|>", tokenizer.PieceText(12));
        Assert.Contains("[CLS]", Assert.Throws<GlmException>(() => Load("vocab.txt", pieces.Replace("[CLS]", "[CLX]"))).Message);
        Assert.Contains("line 6", Assert.Throws<GlmException>(() => Load("vocab.txt", pieces.Replace("un\n", "[UNK]\n"))).Message);
    }

    [Fact]
    public void MergesOfGpt2()
    {
        string vocabulary = Gpt2Json();
        File.WriteAllText(In("merges.txt"), "#version: 0.2\nĠ t\nĠt h\n");
        var tokenizer = Load("vocab.json", vocabulary);
        Assert.Equal(VocabularyKind.GlmGpt2, tokenizer.Kind);
        Assert.Equal([257, 'e'], tokenizer.Encode(" the").Select(id => id == 256 + 1 ? 257 : (int)tokenizer.PieceText(id)[0]));
        Assert.Equal(tokenizer.Encode(" the"), Tokenizer.Load(In("merges.txt")).Encode(" the"));
        Assert.Equal(tokenizer.VocabularySize - 1, tokenizer.Special.Names["[sMASK]"]);
        File.WriteAllText(In("merges.txt"), "#version: 0.2\nĠ t\nĠt x\n");
        Assert.Contains("line 3", Assert.Throws<GlmException>(() => Tokenizer.Load(_folder)).Message);
        File.WriteAllText(In("merges.txt"), "#version: 0.2\nĠ t h\n");
        Assert.Contains("line 2", Assert.Throws<GlmException>(() => Tokenizer.Load(_folder)).Message);
        File.WriteAllBytes(In("merges.txt"), [0x61, 0x20, 0xE9]);
        Assert.Contains("UTF-8", Assert.Throws<GlmException>(() => Tokenizer.Load(_folder)).Message);
        File.Delete(In("merges.txt"));
        Assert.Contains("merges.txt", Assert.Throws<GlmException>(() => Tokenizer.Load(_folder)).Message);
    }

    [Fact]
    public void AddedTokensOverrideTheKnownOnes()
    {
        File.WriteAllText(In("merges.txt"), "#version: 0.2\n");
        File.WriteAllText(In("added_tokens.json"), """{"[gMASK]": 300, "[extra]": 301}""");
        var tokenizer = Load("vocab.json", Gpt2Json());
        Assert.Equal((300, 302), (tokenizer.Blanks.GMask, tokenizer.VocabularySize));
        Assert.Equal([301], tokenizer.EncodeWithSpecial("[extra]"));
        Assert.Equal("<unused_299>", tokenizer.PieceText(299));
        File.WriteAllText(In("added_tokens.json"), """{"[gMASK]": "x"}""");
        Assert.Contains("added_tokens.json", Assert.Throws<GlmException>(() => Tokenizer.Load(_folder)).Message);
    }

    [TokenizersFact]
    public void ConfigurationsTellTwinsApart()
    {
        Assert.Equal(VocabularyKind.ChatGlm2, Kind("chatglm2-6b", "tokenizer.model", "tokenizer_config.json"));
        Assert.Equal(VocabularyKind.ChatGlm3, Kind("chatglm3-6b", "tokenizer.model", "tokenizer_config.json"));
        Assert.Equal(VocabularyKind.ChatGlm3, Kind("chatglm2-6b", "tokenizer.model"));
        Assert.Equal(VocabularyKind.ChatGlm2, Kind("chatglm2-6b", "tokenizer.model", "config.json", """{"model_type": "chatglm", "_name_or_path": "THUDM/chatglm2-6b-32k"}"""));
        Assert.Equal(VocabularyKind.ChatGlm, Kind("chatglm-6b", "ice_text.model", "tokenizer_config.json"));
        Assert.Equal(VocabularyKind.Glm130B, Kind("chatglm-6b", "ice_text.model"));
        Assert.Equal(VocabularyKind.ChatGlm, Kind("chatglm-6b", "ice_text.model", "config.json", """{"model_type": "chatglm", "vocab_size": 150528}"""));
        Assert.Equal(20000 + 130001, Tokenizer.Load(_folder).Blanks.GMask);
        Assert.Equal([20005, 94874, 150001, 150004], Tokenizer.Load(_folder).EncodeInput("你好"));
        Assert.Equal(VocabularyKind.Opt, Kind("opt", "vocab.json", "merges.txt"));
        Assert.Equal(VocabularyKind.GlmRoberta, Kind("opt", "vocab.json", "merges.txt", "config.json", """{"model_type": "glm"}"""));
        Assert.Equal(new BlankTokens(50264, null, null, 50265, 50266, 2), Tokenizer.Load(_folder).Blanks);
        File.WriteAllText(In("config.json"), "{");
        Assert.Contains("config.json", Assert.Throws<GlmException>(() => Tokenizer.Load(_folder)).Message);
    }

    [TokenizersFact]
    public void TheVocabularyOfAGgufFileIsThatOfTheOriginal()
    {
        var pieces = SentencePieceModel.Load(Path.Combine(TestFiles.Tokenizers!, "chatglm3-6b", "tokenizer.model")).Pieces;
        string[] special = ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>", "[PAD64798]"];
        string[] tokens = ["<unk>", "<bos>", "<eos>", .. pieces.Skip(3).Select(piece => piece.Text), .. special];
        double[] scores = [.. pieces.Select(piece => (double)piece.Score), .. special.Select(_ => -1000.0)], types = [.. pieces.Select(piece => (double)piece.Type), .. special.Select(_ => 3.0)];
        var gguf = new GgufVocabulary("x.gguf", "llama", "chatglm-spm", tokens, scores, types);
        AssertAlike(Tokenizer.Load(Path.Combine(TestFiles.Tokenizers!, "chatglm3-6b")), gguf.Create());
        Assert.Contains("scores", Assert.Throws<GlmException>(() => (gguf with { Scores = [1] }).Create()).Message);
        Assert.Contains("token_type", Assert.Throws<GlmException>(() => (gguf with { Types = null }).Create()).Message);
        types[7] = 9;
        Assert.Contains("token_type[7]", Assert.Throws<GlmException>(() => gguf.Create()).Message);
        Assert.Contains("[MASK]", Assert.Throws<GlmException>(() => (gguf with { Tokens = tokens[..100] }).Create()).Message);
        Assert.Contains("bert", Assert.Throws<GlmException>(() => (gguf with { Model = "bert" }).Create()).Message);

        var glm4 = Tokenizer.Load(Path.Combine(TestFiles.Tokenizers!, "glm-4-9b"));
        string[] ranks = [.. Enumerable.Range(0, glm4.VocabularySize).Select(glm4.PieceText), "[PAD151343]"];
        AssertAlike(glm4, new GgufVocabulary("x.gguf", "gpt2", "chatglm-bpe", ranks, null, null).Create());
        ranks[5] = "\u2581";
        Assert.Contains("tokens[5]", Assert.Throws<GlmException>(() => new GgufVocabulary("x.gguf", "gpt2", "glm4", ranks, null, null).Create()).Message);
    }

    [Fact]
    public void ArbitraryBytesAreRefused() => Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), Gen.Elements("", "{", "[PAD]\n", "YQ== 0\n", "\n\x03").ToArbitrary(), (bytes, begin) =>
    {
        File.WriteAllBytes(In("tokenizer.model"), [.. Encoding.Latin1.GetBytes(begin), .. bytes]);
        return Assert.Throws<GlmException>(() => Tokenizer.Load(_folder)).Message.Contains("tokenizer.model");
    }).QuickCheckThrowOnFailure();

    private static void AssertAlike(Tokenizer expected, Tokenizer found)
    {
        Assert.Equal((expected.Kind, expected.VocabularySize, expected.Special.Roles), (found.Kind, found.VocabularySize, found.Special.Roles));
        foreach (string line in SyntheticLines.All)
        {
            int[] ids = expected.Encode(line);
            Assert.Equal(ids, found.Encode(line));
            Assert.Equal(expected.Decode(ids), found.Decode(ids));
        }
    }

    private VocabularyKind Kind(string folder, params string[] files)
    {
        foreach (string old in Directory.GetFiles(_folder)) File.Delete(old);
        for (int i = 0; i < files.Length; i++)
            if (i + 1 < files.Length && files[i + 1].StartsWith('{')) File.WriteAllText(In(files[i]), files[++i]);
            else File.Copy(Path.Combine(TestFiles.Tokenizers!, folder, files[i]), In(files[i]));
        return Tokenizer.Load(_folder).Kind;
    }

    private static string Gpt2Json()
    {
        var vocabulary = new JsonObject();
        for (int value = 0; value < 256; value++) vocabulary[ByteAlphabet.CharacterOf((byte)value).ToString()] = value;
        foreach (string token in new[] { "Ġt", "Ġth", "<|endoftext|>" }) vocabulary[token] = vocabulary.Count;
        return vocabulary.ToJsonString();
    }

    private static string Ranks() => string.Concat(Enumerable.Range(0, 256).Select(value => $"{Convert.ToBase64String([(byte)value])} {value}\n")) + "YWI= 256\nIHRoZQ== 257\n";

    private Tokenizer Load(string name, string content)
    {
        File.WriteAllText(In(name), content);
        return Tokenizer.Load(_folder);
    }

    private string In(string name) => Path.Combine(_folder, name);
}
